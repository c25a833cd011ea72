"""The audit event: one for every session that was minted, refused or failed.

It says who asked, for whom, where to, what came of it, Apideck's id of the call and how long it
took. It is kept up while the request travels, and written once at its end, whatever happened.
"""

import time
from dataclasses import dataclass, field
from typing import Literal

import structlog

logger = structlog.get_logger("audit")

Outcome = Literal["minted", "refused", "failed", "abandoned"]


@dataclass(slots=True)
class AuditRecord:
    """What is known of one request so far.

    Attributes:
        caller_kind: user or service, once identity has said so.
        issuer: the operator's name of the issuer that vouches for the caller.
        subject: who the caller is to that issuer.
        actor: who acts for the subject, where the token was delegated.
        consumer_id: for whom the session is, or would be.
        target: name of the redirect target.
        connection: the connector that is opened directly, as `unified_api/service_id`.
        apideck_request_id: Apideck's own id of the call.
        started: when the request came, by `time.perf_counter`.
    """

    caller_kind: str | None = None
    issuer: str | None = None
    subject: str | None = None
    actor: str | None = None
    consumer_id: str | None = None
    target: str | None = None
    connection: str | None = None
    apideck_request_id: str | None = None
    started: float = field(default_factory=time.perf_counter)

    def write(
        self, outcome: Outcome, *, problem: str | None = None, reason: str | None = None
    ) -> None:
        """Write the event.

        Args:
            outcome: what came of the request.
            problem: the type of the problem that the caller was answered with.
            reason: what the operator should know beyond that.
        """
        log = logger.info if outcome == "minted" else logger.warning
        log(
            f"vault_session_{outcome}",
            caller_kind=self.caller_kind,
            issuer=self.issuer,
            subject=self.subject,
            actor=self.actor,
            consumer_id=self.consumer_id,
            target=self.target,
            connection=self.connection,
            apideck_request_id=self.apideck_request_id,
            problem=problem,
            reason=reason,
            duration_ms=round((time.perf_counter() - self.started) * 1000, 2),
        )
