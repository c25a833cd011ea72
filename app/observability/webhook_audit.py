"""The audit event of a delivery: one for every request to a webhook endpoint, however it ended.

Events hold customers' data. Of what an event says, the audit event has its id, its type and its
consumer, and only once the signature is verified.
"""

import time
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Literal

import structlog

logger = structlog.get_logger("audit")

DeliveryOutcome = Literal["forwarded", "ignored", "refused", "failed", "abandoned"]


@dataclass(slots=True)
class DeliveryRecord:
    """What is known of one delivery so far.

    Attributes:
        unify_app: the operator's name of the Unify app; None if the request names none of them.
        key: which API key verified the signature.
        event_id: Apideck's id of the event.
        event_type: its type.
        consumer_id: the consumer whose connection it is about.
        ignored: why an event with a valid signature was not forwarded.
        problem: slug of the problem in the response; None for a success.
        reason: what the operator should know beyond that.
        started: when the request was received, by `time.perf_counter`.
    """

    unify_app: str | None = None
    key: Literal["current", "previous"] | None = None
    event_id: str | None = None
    event_type: str | None = None
    consumer_id: str | None = None
    ignored: Literal["validation-request", "unwanted-type"] | None = None
    problem: str | None = None
    reason: str | None = None
    started: float = field(default_factory=time.perf_counter, compare=False)

    def outcome(self, status: int) -> DeliveryOutcome:
        """Return how the request ended.

        Args:
            status: of the response; 499 if the client disconnected before.
        """
        if status < HTTPStatus.BAD_REQUEST:
            return "ignored" if self.ignored else "forwarded"
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return "failed"
        return "refused" if self.problem else "abandoned"

    def write(self, outcome: DeliveryOutcome) -> None:
        """Write the event.

        Args:
            outcome: how the request ended.
        """
        log = logger.info if outcome in {"forwarded", "ignored"} else logger.warning
        log(
            f"webhook_{outcome}",
            application=self.unify_app,
            key=self.key,
            event_id=self.event_id,
            event_type=self.event_type,
            consumer_id=self.consumer_id,
            ignored=self.ignored,
            problem=self.problem,
            reason=self.reason,
            duration_ms=round((time.perf_counter() - self.started) * 1000, 2),
        )
