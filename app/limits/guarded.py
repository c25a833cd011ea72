"""A store across the network, so that its troubles take no more than a moment of each request."""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from app.circuit_breaker import CircuitBreaker, CircuitOpenError, Thresholds
from app.limits.models import Limit, StoreFailedError, StoreNotAskedError, Verdict

_THRESHOLDS = Thresholds(failure_rate=0.5, min_calls=5, window_seconds=5, open_seconds=1, probes=2)


class Store(Protocol):
    """Where requests are counted."""

    async def admit(self, limits: Sequence[Limit]) -> Verdict:
        """Count one request for every limit, or for none when it is beyond any of them.

        Raises:
            StoreFailedError: the store does not count just now.
        """
        ...

    async def aclose(self) -> None:
        """Let go of everything."""
        ...


class GuardedStore:
    """Asks a store within a time, and not at all while it mostly fails."""

    def __init__(self, store: Store, timeout_seconds: float) -> None:
        self._store = store
        self._timeout = timeout_seconds
        self._breaker = CircuitBreaker(_THRESHOLDS)

    async def admit(self, limits: Sequence[Limit]) -> Verdict:
        """Count one request for every limit, or for none when it is beyond any of them.

        Raises:
            StoreNotAskedError: it failed too often just before.
            StoreFailedError: it failed, or took too long.
        """
        try:
            with self._breaker.call(lambda _: True):
                async with asyncio.timeout(self._timeout):
                    return await self._store.admit(limits)
        except CircuitOpenError as error:
            raise StoreNotAskedError("not asked") from error
        except TimeoutError as error:
            raise StoreFailedError("too slow") from error

    async def aclose(self) -> None:
        """Let go of everything."""
        await self._store.aclose()
