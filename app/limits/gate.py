"""How many requests are worked on at the same time, and what becomes of the others."""

import asyncio

from app.errors import OverloadedError
from app.observability.metrics import Metrics
from app.settings import LimitSettings

_RETRY_AFTER_SECONDS = 1


class Gate:
    """Lets so many in, has so many wait for so long, and turns the rest away at once.

    Work that cannot be finished is best refused before it is begun: the time that it would cost
    goes to requests that still can be answered.
    """

    def __init__(self, settings: LimitSettings, metrics: Metrics) -> None:
        self._places = asyncio.Semaphore(settings.max_in_flight)
        self._max_waiting = settings.max_waiting
        self._max_wait = settings.max_wait_seconds
        self._shed = metrics.shed
        self._waiting = 0
        metrics.waiting.set_function(lambda: self._waiting)

    async def __aenter__(self) -> None:
        """Come in, perhaps after a wait; first come, first served.

        Raises:
            OverloadedError: there is no place, and none became free in time.
        """
        if not self._places.locked():
            await self._places.acquire()
            return
        if self._waiting >= self._max_waiting:
            raise self._refusal("as many requests wait as may")
        self._waiting += 1
        try:
            async with asyncio.timeout(self._max_wait):
                await self._places.acquire()
        except TimeoutError:
            raise self._refusal(f"no place became free within {self._max_wait:g} s") from None
        finally:
            self._waiting -= 1

    async def __aexit__(self, *_: object) -> None:
        """Leave, and let the next one in."""
        self._places.release()

    def _refusal(self, reason: str) -> OverloadedError:
        self._shed.inc()
        return OverloadedError(
            "There are too many requests just now; try again shortly.",
            reason=reason,
            retry_after=_RETRY_AFTER_SECONDS,
        )
