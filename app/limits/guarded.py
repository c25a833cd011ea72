"""A store across the network, so that its troubles take no more than a moment of each request."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, Final, Protocol, TypeVar

from app.common.circuit_breaker import CircuitBreaker, CircuitOpenError, Thresholds
from app.limits.models import Limit, RateLimitDecision, StoreFailedError, StoreNotAskedError

T = TypeVar("T")

_THRESHOLDS = Thresholds(failure_rate=0.5, min_calls=5, window_seconds=5, open_seconds=1, probes=2)
_AT_ONCE: Final = 200
"""Requests that are counted in one question; Redis does nothing else meanwhile."""
_SLICES: Final = 20
"""Parts that the time is waited in. A turn of a busy event loop, however long, uses up one of them:
a connection is made in some ten turns, and an answer read in a few."""


class Store(Protocol):
    """Where requests are counted."""

    async def admit(self, limits: Sequence[Limit]) -> RateLimitDecision:
        """Count one request for every limit, or for none when it is beyond any of them.

        Raises:
            StoreFailedError: the store does not count just now.
        """
        ...

    async def aclose(self) -> None:
        """Let go of everything."""
        ...


class SharedStore(Protocol):
    """Where the requests of many processes are counted, in one round trip for each question."""

    async def admit_all(self, asked: Sequence[Sequence[Limit]]) -> list[RateLimitDecision]:
        """Count requests one after the other, each for every one of its limits or for none.

        Raises:
            StoreFailedError: the store does not count just now.
        """
        ...

    async def aclose(self) -> None:
        """Let go of everything."""
        ...


class GuardedStore:
    """Asks a shared store within a time, and not at all while it mostly fails.

    Requests that come while it is being asked are counted together in the next question. So a
    thousand at once are a few questions, and none waits for one of a few connections until the time
    is up that was meant for the store.
    """

    def __init__(self, store: SharedStore, timeout_seconds: float) -> None:
        """Take the store, and how long it may take to answer."""
        self._store = store
        self._timeout = timeout_seconds
        self._breaker = CircuitBreaker(_THRESHOLDS)
        self._asked: list[tuple[Sequence[Limit], asyncio.Future[RateLimitDecision]]] = []
        self._asking: asyncio.Task[None] | None = None

    async def admit(self, limits: Sequence[Limit]) -> RateLimitDecision:
        """Count one request for every limit, or for none when it is beyond any of them.

        Raises:
            StoreNotAskedError: it failed too often just before.
            StoreFailedError: it failed, or took too long.
        """
        decision: asyncio.Future[RateLimitDecision] = asyncio.get_running_loop().create_future()
        self._asked.append((limits, decision))
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask())
        return await decision

    async def aclose(self) -> None:
        """Let go of everything."""
        if self._asking is not None:
            self._asking.cancel()
        await self._store.aclose()

    async def _ask(self) -> None:
        """Ask for whoever has come, until nobody comes any more."""
        try:
            while self._asked:
                asked, self._asked = self._asked[:_AT_ONCE], self._asked[_AT_ONCE:]
                try:
                    decisions = await self._decisions([limits for limits, _ in asked])
                except Exception as error:  # noqa: BLE001 - whoever waits has to hear of it
                    # So have those who came meanwhile: they have waited for as long.
                    asked, self._asked = asked + self._asked, []
                    for _, waiting in asked:
                        if not waiting.done():
                            waiting.set_exception(error)
                else:
                    for (_, waiting), decision in zip(asked, decisions, strict=True):
                        if not waiting.done():
                            waiting.set_result(decision)
        finally:
            self._asking = None

    async def _decisions(self, asked: Sequence[Sequence[Limit]]) -> list[RateLimitDecision]:
        try:
            with self._breaker.call(lambda _: True):
                return await _in_time(self._store.admit_all(asked), self._timeout)
        except CircuitOpenError as error:
            raise StoreNotAskedError("not asked") from error
        except TimeoutError as error:
            raise StoreFailedError("too slow") from error


async def _in_time(work: Coroutine[Any, Any, T], seconds: float) -> T:
    """Return what the work comes to; the time is the other side's, not that of a busy event loop.

    Raises:
        TimeoutError: it took longer.
    """
    task = asyncio.create_task(work)
    try:
        for _ in range(_SLICES):
            done, _ = await asyncio.wait({task}, timeout=seconds / _SLICES)
            if done:
                return task.result()
        raise TimeoutError
    finally:
        task.cancel()
