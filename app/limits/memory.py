"""Counting within this process."""

import heapq
import time
from collections.abc import Callable, Sequence

from .models import Limit, QuotaStatus, RateLimitDecision

_TOLERANCE_SECONDS = 1e-6


class MemoryStore:
    """Keeps one number for each caller whose quota is not full, and nothing for the others."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._full_at: dict[str, float] = {}
        self._expiries: list[tuple[float, str]] = []

    async def admit(self, limits: Sequence[Limit]) -> RateLimitDecision:
        """Count one request against every limit, or against none if it exceeds any of them."""
        now = self._clock()
        self._expire(now)
        before = [max(0.0, self._full_at.get(limit.key, now) - now) for limit in limits]
        admitted = all(
            wait + limit.rate.interval <= limit.rate.window_seconds + _TOLERANCE_SECONDS
            for wait, limit in zip(before, limits, strict=True)
        )
        after = [
            wait + limit.rate.interval if admitted else wait
            for wait, limit in zip(before, limits, strict=True)
        ]
        if admitted:
            for limit, wait in zip(limits, after, strict=True):
                if limit.key not in self._full_at:
                    heapq.heappush(self._expiries, (now + wait, limit.key))
                self._full_at[limit.key] = now + wait
        return RateLimitDecision(admitted, tuple(map(QuotaStatus, limits, after)))

    async def aclose(self) -> None:
        """Do nothing: there is nothing to close."""

    def _expire(self, now: float) -> None:
        while self._expiries and self._expiries[0][0] <= now:
            key = self._expiries[0][1]
            if (full_at := self._full_at[key]) > now:
                heapq.heapreplace(self._expiries, (full_at, key))
            else:
                heapq.heappop(self._expiries)
                del self._full_at[key]
