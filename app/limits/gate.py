"""How many requests are worked on at the same time, and what becomes of the others."""

import asyncio
from collections import deque
from typing import Protocol

from app.observability.metrics import Metrics
from app.settings import LimitSettings


class Visitor(Protocol):
    """A request that nobody has begun to work on."""

    def start(self) -> bool:
        """Begin; whoever began says `leave` at the end. Returns False if nobody asks any more."""

    def refuse(self, reason: str) -> None:
        """Tell the caller that there is no place."""


class Gate:
    """Lets so many in, has so many wait for so long, and turns the rest away at once.

    Work that cannot be finished is best refused before it is begun: the time that it would cost
    goes to requests that still can be answered. For the same reason nothing is made of those who
    wait, no task and no timer.
    """

    def __init__(self, settings: LimitSettings, metrics: Metrics) -> None:
        self._settings = settings
        self._shed = metrics.shed
        self._inside = 0
        self._waiting: deque[tuple[float, Visitor]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        metrics.waiting.set_function(lambda: len(self._waiting))

    def come(self, visitor: Visitor) -> None:
        """Start a request now, or when it is its turn; or refuse it soon.

        First come, first served. Who waits is refused after `LIMITS__MAX_WAIT_SECONDS`; who finds
        `LIMITS__MAX_WAITING` others waiting, at once.
        """
        loop = asyncio.get_running_loop()
        if self._inside < self._settings.max_in_flight:
            self._inside += visitor.start()
        elif len(self._waiting) < self._settings.max_waiting:
            self._waiting.append((loop.time(), visitor))
            self._watch(loop)
        else:
            # Not from here: what is behind it on its connection would come before this returns.
            loop.call_soon(self._refuse, visitor, "as many requests wait as may")

    def leave(self) -> None:
        """Give a place back, to the next who waits for one."""
        self._inside -= 1
        while self._waiting and self._inside < self._settings.max_in_flight:
            self._inside += self._waiting.popleft()[1].start()

    def close(self) -> None:
        """Refuse all who wait: there will be no more places."""
        while self._waiting:
            self._refuse(self._waiting.popleft()[1], "the process ends")

    def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._timer is None and self._waiting:
            first, _ = self._waiting[0]
            at = first + self._settings.max_wait_seconds
            self._timer = loop.call_at(at, self._send_away, loop)

    def _send_away(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        longest = self._settings.max_wait_seconds
        before = loop.time() - longest
        late = []
        while self._waiting and self._waiting[0][0] <= before:
            late.append(self._waiting.popleft()[1])
        self._watch(loop)
        for visitor in late:
            self._refuse(visitor, f"no place became free within {longest:g} s")

    def _refuse(self, visitor: Visitor, reason: str) -> None:
        self._shed.inc()
        visitor.refuse(reason)
