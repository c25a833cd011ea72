"""How many requests are worked on at the same time, and what becomes of the others."""

import asyncio
from collections import OrderedDict
from typing import Final, Protocol

from app.errors import OverloadedError, ShuttingDownError, VaultBffError
from app.observability.metrics import Metrics
from app.settings import LimitSettings

_SENT_AWAY_AT_ONCE: Final = 200
_RETRY_AFTER_SECONDS: Final = 1
_ENDS: Final = ShuttingDownError(
    "This service is restarting; try again shortly.",
    reason="the process ends",
    retry_after=_RETRY_AFTER_SECONDS,
)


class Visitor(Protocol):
    """A request that nobody has begun to work on."""

    def start(self) -> bool:
        """Begin; whoever began says `leave` at the end. Returns False if nobody asks any more."""

    def refuse(self, error: VaultBffError) -> bool:
        """Tell the caller that there is no place. Returns False if nobody asks any more."""


class Gate:
    """Lets so many in, has so many wait for so long, and turns the rest away at once.

    Work that cannot be finished is best refused before it is begun: the time that it would cost
    goes to requests that still can be answered. For the same reason nothing is made of those who
    wait, no task and no timer.
    """

    def __init__(self, settings: LimitSettings, metrics: Metrics) -> None:
        self._settings = settings
        self._shed = metrics.shed
        self._full = _overloaded("as many requests wait as may")
        self._late = _overloaded(f"no place became free within {settings.max_wait_seconds:g} s")
        self._inside = 0
        # Since when each waits; not a dict, which is slow to find its first after many are gone.
        self._waiting: OrderedDict[Visitor, float] = OrderedDict()
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        metrics.waiting.set_function(lambda: len(self._waiting))

    def come(self, visitor: Visitor) -> None:
        """Start a request now, or when it is its turn; or refuse it soon.

        First come, first served. Who waits is refused after `LIMITS__MAX_WAIT_SECONDS`; who finds
        `LIMITS__MAX_WAITING` others waiting, at once.
        """
        loop = asyncio.get_running_loop()
        if self._closed:
            loop.call_soon(self._refuse, visitor, _ENDS)
        elif self._inside < self._settings.max_in_flight:
            self._inside += visitor.start()
        elif len(self._waiting) < self._settings.max_waiting:
            self._waiting[visitor] = loop.time()
            self._watch(loop)
        else:
            # Not from here: what is behind it on its connection would come before this returns.
            loop.call_soon(self._refuse, visitor, self._full)

    def leave(self) -> None:
        """Give a place back, to the next who waits for one."""
        self._inside -= 1
        while self._waiting and self._inside < self._settings.max_in_flight:
            self._inside += self._waiting.popitem(last=False)[0].start()

    def forget(self, visitor: Visitor) -> bool:
        """Have one wait no longer, because nobody asks any more; tell whether they did wait."""
        return self._waiting.pop(visitor, None) is not None

    def close(self) -> None:
        """Refuse all who wait, and all who come: there will be no more places."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        waiting, self._waiting = self._waiting, OrderedDict()
        for visitor in waiting:
            # All in the next turn of the loop: there may not be many more.
            asyncio.get_running_loop().call_soon(self._refuse, visitor, _ENDS)

    def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._timer is None and self._waiting:
            due = self._first_came() + self._settings.max_wait_seconds
            self._timer = loop.call_at(due, self._send_away, loop)

    def _send_away(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        before = loop.time() - self._settings.max_wait_seconds
        try:
            # Not all in one turn of the loop, which others wait for.
            for _ in range(_SENT_AWAY_AT_ONCE):
                if not self._waiting or self._first_came() > before:
                    break
                self._refuse(self._waiting.popitem(last=False)[0], self._late)
        finally:
            self._watch(loop)  # Whatever befell one of them, the others have their turn.

    def _first_came(self) -> float:
        return next(iter(self._waiting.values()))

    def _refuse(self, visitor: Visitor, error: VaultBffError) -> None:
        self._shed.inc(visitor.refuse(error) and error is not _ENDS)


def _overloaded(reason: str) -> OverloadedError:
    return OverloadedError(
        "There are too many requests just now; try again shortly.",
        reason=reason,
        retry_after=_RETRY_AFTER_SECONDS,
    )
