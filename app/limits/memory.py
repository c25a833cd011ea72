"""Counting within this process."""

import heapq
import time
from collections.abc import Callable, Sequence

from app.limits.models import Limit, QuotaStatus, RateLimitDecision

_TOLERANCE_SECONDS = 1e-6


class MemoryStore:
    """Keeps one number for everybody whose quota is not whole; nobody else takes any room."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._whole_at: dict[str, float] = {}
        self._due: list[tuple[float, str]] = []

    async def admit(self, limits: Sequence[Limit]) -> RateLimitDecision:
        """Count one request for every limit, or for none when it is beyond any of them."""
        now = self._clock()
        self._forget(now)
        before = [max(0.0, self._whole_at.get(one.key, now) - now) for one in limits]
        admitted = all(
            wait + one.rate.interval <= one.rate.window_seconds + _TOLERANCE_SECONDS
            for wait, one in zip(before, limits, strict=True)
        )
        after = [
            wait + one.rate.interval if admitted else wait
            for wait, one in zip(before, limits, strict=True)
        ]
        if admitted:
            for one, wait in zip(limits, after, strict=True):
                if one.key not in self._whole_at:
                    heapq.heappush(self._due, (now + wait, one.key))
                self._whole_at[one.key] = now + wait
        return RateLimitDecision(admitted, tuple(map(QuotaStatus, limits, after)))

    async def aclose(self) -> None:
        """Do nothing: there is nothing to close."""

    def _forget(self, now: float) -> None:
        while self._due and self._due[0][0] <= now:
            key = self._due[0][1]
            if (whole_at := self._whole_at[key]) > now:
                heapq.heapreplace(self._due, (whole_at, key))
            else:
                heapq.heappop(self._due)
                del self._whole_at[key]
