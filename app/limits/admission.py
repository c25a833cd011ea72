"""Bounds how many requests are processed at the same time, and queues a bounded number of others.

A request that cannot be finished in time is best rejected before any work is done for it: the CPU
time then goes to requests that can still be served. For the same reason a queued request has no
timer of its own: one timer serves the whole queue.
"""

import asyncio
from collections import OrderedDict
from enum import Enum, auto
from typing import Final

from ..errors import OverloadedError, ShuttingDownError, VaultBffError
from ..observability.audit import Resource
from ..observability.metrics import Metrics
from ..settings.limits import AdmissionSettings

_EXPIRED_PER_TURN: Final = 200
"""Queued requests that expire in one turn of the event loop, which other requests wait for."""
_RETRY_AFTER_SECONDS: Final = 1


class Admission(Enum):
    """What the queue decided about a request."""

    ADMITTED = auto()
    QUEUE_FULL = auto()
    EXPIRED = auto()
    DISCONNECTED = auto()
    SHUT_DOWN = auto()


Ticket = asyncio.Future[Admission]
"""Resolves once the queue has decided."""


class AdmissionQueue:
    """First come, first served: a number of requests run, a number wait, the rest are rejected.

    `MAX_IN_FLIGHT` requests run at the same time. `MAX_WAITING` others wait for at most
    `MAX_WAIT_SECONDS`. Further requests are rejected at once. Sessions and connections have a queue
    each, so that slow lists take no slot from sessions.

    Attributes:
        resource: what its requests are for.
        errors: the error for each decision; a decision without one needs no response, because the
            client has disconnected.
    """

    def __init__(self, settings: AdmissionSettings, metrics: Metrics, resource: Resource) -> None:
        """Prepare an empty queue.

        Args:
            settings: its limits.
            metrics: where its length, and the requests that it rejects, are counted.
            resource: what its requests are for; its name in these metrics.
        """
        self.resource: Resource = resource
        self.errors = rejection_errors(settings)
        self._settings = settings
        self._shed = metrics.shed.labels(resource)
        self._running: set[Ticket] = set()
        # When each began to wait. Not a dict: after many removals it finds its first entry slowly.
        self._waiting: OrderedDict[Ticket, float] = OrderedDict()
        self._timer: asyncio.TimerHandle | None = None
        metrics.waiting.labels(resource).set_function(lambda: len(self._waiting))

    def join(self) -> Ticket:
        """Return a ticket for a request: resolved already, or once it is the request's turn.

        The caller must call `leave` in the end, whatever the ticket says.
        """
        loop = asyncio.get_running_loop()
        ticket: Ticket = loop.create_future()
        if len(self._running) < self._settings.max_in_flight:
            self._admit(ticket)
        elif len(self._waiting) < self._settings.max_waiting:
            self._waiting[ticket] = loop.time()
            self._schedule_expiry(loop)
        else:
            self._reject(ticket, Admission.QUEUE_FULL)
        return ticket

    def leave(self, ticket: Ticket) -> None:
        """Forget a request that was processed, was rejected, or no longer waits."""
        self._waiting.pop(ticket, None)
        self._running.discard(ticket)
        while self._waiting and len(self._running) < self._settings.max_in_flight:
            first, _ = self._waiting.popitem(last=False)
            if not first.done():  # A request whose task was cancelled has not left yet.
                self._admit(first)

    def disconnect(self, ticket: Ticket) -> None:
        """Remove a waiting request whose client has disconnected; do nothing to any other."""
        if self._waiting.pop(ticket, None) is not None and not ticket.done():
            ticket.set_result(Admission.DISCONNECTED)

    def _admit(self, ticket: Ticket) -> None:
        self._running.add(ticket)
        ticket.set_result(Admission.ADMITTED)

    def _reject(self, ticket: Ticket, admission: Admission) -> None:
        self._shed.inc()
        ticket.set_result(admission)

    def _schedule_expiry(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._timer is None and self._waiting:
            due = next(iter(self._waiting.values())) + self._settings.max_wait_seconds
            self._timer = loop.call_at(due, self._expire, loop)

    def _expire(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        expired = loop.time() - self._settings.max_wait_seconds
        for _ in range(_EXPIRED_PER_TURN):
            if not self._waiting or next(iter(self._waiting.values())) > expired:
                break
            ticket, _ = self._waiting.popitem(last=False)
            if not ticket.done():
                self._reject(ticket, Admission.EXPIRED)
        self._schedule_expiry(loop)


def rejection_errors(settings: AdmissionSettings) -> dict[Admission, VaultBffError]:
    """Return the error that stands for each kind of rejection.

    A client that has disconnected needs none.

    Args:
        settings: the queue's settings.
    """
    detail = "There are too many requests just now; try again shortly."
    seconds = _RETRY_AFTER_SECONDS
    return {
        Admission.QUEUE_FULL: OverloadedError(
            detail, reason="the queue is full", retry_after=seconds
        ),
        Admission.EXPIRED: OverloadedError(
            detail,
            reason=f"no slot became free within {settings.max_wait_seconds:g} s",
            retry_after=seconds,
        ),
        Admission.SHUT_DOWN: ShuttingDownError(
            "The service is restarting. Please try again in a moment.",
            reason="still queued at the end of SERVER__SHUTDOWN_GRACE_SECONDS",
            retry_after=seconds,
        ),
    }
