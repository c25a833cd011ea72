"""The audit event: one for every request for a session or for connections, however it ended.

It says who asked for which consumer and what, how that ended, and Apideck's id of the
call. The record is filled in while the request is processed, and written once, at its end.

Requests that admission rejects have one event for all that ended alike in the same second. Nothing
is known of them but their number, and an event for each would take the CPU time of the requests
that can still be served (docs/adr/0015-admission-as-middleware.md).
"""

import asyncio
import contextvars
import re
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Literal

import structlog

logger = structlog.get_logger("audit")

_MAX_TARGET = 255
_SUMMARY_SECONDS = 1.0
_QUERY = re.compile(r"[?#]")
_USER_INFO = re.compile(r"//[^/]*@")

Outcome = Literal["minted", "read", "refused", "failed", "abandoned"]
Resource = Literal["sessions", "connections"]
"""What a request is for; each has its own limits, queue, audit events and metrics."""

_EVENTS: Mapping[Resource, str] = {"sessions": "vault_session", "connections": "vault_connections"}
_SUCCESS: Mapping[Resource, Outcome] = {"sessions": "minted", "connections": "read"}


@dataclass(slots=True)
class AuditRecord:
    """What is known of one request so far.

    Attributes:
        resource: what the request is for.
        caller_kind: user or service, once the caller is authenticated.
        issuer: the operator's name of the issuer that vouches for the caller.
        subject: the issuer's identifier of the caller.
        actor: who acts for the subject, if the token was delegated.
        consumer_id: the consumer that the request is for, or would have been for.
        target: name of the redirect target.
        connection: the connector that the session opens directly, or that was read, as
            `unified_api/service_id`.
        apideck_request_id: Apideck's own id of the call.
        requested_target: what a rejected request named as its redirect target: a name, or a URI
            without its query.
        fields: JSON Pointers to the fields of a request that were rejected.
        problem: slug of the problem in the response; None for a success.
        reason: what the operator should know beyond that.
        started: when the request was received, by `time.perf_counter`.
    """

    resource: Resource = "sessions"
    caller_kind: str | None = None
    issuer: str | None = None
    subject: str | None = None
    actor: str | None = None
    consumer_id: str | None = None
    target: str | None = None
    connection: str | None = None
    apideck_request_id: str | None = None
    requested_target: str | None = None
    fields: tuple[str, ...] = ()
    problem: str | None = None
    reason: str | None = None
    started: float = field(default_factory=time.perf_counter)

    def note_rejected_request(self, body: object) -> None:
        """Keep what a request asked for that is about to be rejected.

        Args:
            body: the request's JSON, validated or not.
        """
        if not isinstance(body, Mapping):
            return
        target = body.get("redirect_uri", body.get("return_to"))
        if isinstance(target, str):
            # What follows may be a secret, as in a link that signs a person in.
            target = _QUERY.split(target, maxsplit=1)[0]
            self.requested_target = _USER_INFO.sub("//", target)[:_MAX_TARGET]
        self.note_rejected_consumer(body.get("consumer_id"))

    def note_rejected_consumer(self, consumer_id: object) -> None:
        """Keep which consumer a service named; a user names none that means anything.

        Args:
            consumer_id: what the request named, validated or not.
        """
        if self.caller_kind == "service" and isinstance(consumer_id, str):
            self.consumer_id = consumer_id[:_MAX_TARGET]

    def outcome(self, status: int) -> Outcome:
        """Return how the request ended.

        Args:
            status: of the response; 499 if the client disconnected before.
        """
        if status < HTTPStatus.BAD_REQUEST:
            return _SUCCESS[self.resource]
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return "failed"
        return "refused" if self.problem else "abandoned"

    def write(self, outcome: Outcome) -> None:
        """Write the event.

        Args:
            outcome: how the request ended.
        """
        log = logger.info if outcome == _SUCCESS[self.resource] else logger.warning
        log(
            f"{_EVENTS[self.resource]}_{outcome}",
            caller_kind=self.caller_kind,
            issuer=self.issuer,
            subject=self.subject,
            actor=self.actor,
            consumer_id=self.consumer_id,
            target=self.target,
            connection=self.connection,
            apideck_request_id=self.apideck_request_id,
            requested_target=self.requested_target,
            fields=self.fields,
            problem=self.problem,
            reason=self.reason,
            duration_ms=round((time.perf_counter() - self.started) * 1000, 2),
        )


class RejectionSummary:
    """Counts the requests that admission rejected, and writes the counts once a second."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[Resource, Outcome, str | None, str | None]] = Counter()

    def add(self, outcome: Outcome, record: AuditRecord) -> None:
        """Count a request.

        Args:
            outcome: how the request ended.
            record: what is known of it.
        """
        if not self._counts:
            # With a context of its own, or the events would have the id of the request that was
            # counted first.
            loop, context = asyncio.get_running_loop(), contextvars.Context()
            loop.call_later(_SUMMARY_SECONDS, self.write, context=context)
        self._counts[record.resource, outcome, record.problem, record.reason] += 1

    def write(self) -> None:
        """Write an event for each way in which requests have ended since the last time."""
        counts, self._counts = self._counts, Counter()
        for (resource, outcome, problem, reason), count in counts.items():
            event = f"vault_{resource}_turned_away"
            logger.warning(
                event,
                count=count,
                outcome=outcome,
                problem=problem,
                reason=reason,
            )
