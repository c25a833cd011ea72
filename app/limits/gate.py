"""How many requests are worked on at the same time, and what becomes of the others."""

import asyncio

from app.errors import OverloadedError

_RETRY_AFTER_SECONDS = 1


class Gate:
    """Lets so many in, has so many wait for so long, and turns the rest away at once.

    Work that cannot be finished is best refused before it is begun: the time that it would cost
    goes to requests that still can be answered.
    """

    def __init__(self, capacity: int, max_waiting: int, max_wait_seconds: float) -> None:
        """Take how many, and how long.

        Args:
            capacity: requests inside at the same time.
            max_waiting: requests that may wait outside, first come, first served.
            max_wait_seconds: how long each of them waits at most.
        """
        self._places = asyncio.Semaphore(capacity)
        self._max_waiting = max_waiting
        self._max_wait = max_wait_seconds
        self.waiting = 0

    async def enter(self) -> None:
        """Come in, perhaps after a wait.

        Raises:
            OverloadedError: there is no place, and none became free in time.
        """
        if not self._places.locked():
            await self._places.acquire()
            return
        if self.waiting >= self._max_waiting:
            raise _overloaded("as many requests wait as may")
        self.waiting += 1
        try:
            async with asyncio.timeout(self._max_wait):
                await self._places.acquire()
        except TimeoutError:
            raise _overloaded(f"no place became free within {self._max_wait:g} s") from None
        finally:
            self.waiting -= 1

    def leave(self) -> None:
        """Leave, and let the next one in."""
        self._places.release()


def _overloaded(reason: str) -> OverloadedError:
    return OverloadedError(
        "There are too many requests just now; try again shortly.",
        reason=reason,
        retry_after=_RETRY_AFTER_SECONDS,
    )
