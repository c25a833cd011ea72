"""A shared store behind a timeout and a circuit breaker, so that it can never fail a request."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, Final, Protocol, TypeVar

from ..common.circuit_breaker import CircuitBreaker, CircuitOpenError, Thresholds
from .models import Limit, RateLimitDecision, StoreFailedError, StoreSkippedError

T = TypeVar("T")

_THRESHOLDS = Thresholds(failure_rate=0.5, min_calls=5, window_seconds=5, open_seconds=1, probes=2)
_BATCH_SIZE: Final = 200
"""Requests counted in one call; Redis does nothing else in the meantime."""
_SLICES: Final = 20
"""The timeout is waited for in slices, and one iteration of a busy event loop uses up one of them,
however long it takes. Connecting needs about ten iterations, reading a response a few."""


class Store(Protocol):
    """Counts requests."""

    async def admit(self, limits: Sequence[Limit]) -> RateLimitDecision:
        """Count one request against every limit, or against none if it exceeds any of them.

        Raises:
            StoreFailedError: the store cannot count at the moment. It raises nothing else.
        """
        ...

    async def aclose(self) -> None:
        """Close every connection."""
        ...


class SharedStore(Protocol):
    """Counts the requests of many processes, in one round trip for each call."""

    async def admit_all(self, requests: Sequence[Sequence[Limit]]) -> list[RateLimitDecision]:
        """Count requests in order, each against all of its limits or against none.

        Raises:
            Exception: anything, when the store cannot count at the moment.
        """
        ...

    async def aclose(self) -> None:
        """Close every connection."""
        ...


class GuardedStore:
    """Calls a shared store with a timeout, and not at all while most calls fail.

    Requests that arrive during a call are counted together in the next one. A thousand concurrent
    requests are therefore a few calls, and none of them waits for a connection while its timeout
    runs.
    """

    def __init__(self, store: SharedStore, address: str, timeout_seconds: float) -> None:
        """Guard a store.

        Args:
            store: the store.
            address: host and port of the store, for error messages.
            timeout_seconds: how long one call may take.
        """
        self._store = store
        self._address = address
        self._timeout = timeout_seconds
        self._breaker = CircuitBreaker(_THRESHOLDS)
        self._waiting: list[tuple[Sequence[Limit], asyncio.Future[RateLimitDecision]]] = []
        self._worker: asyncio.Task[None] | None = None

    async def admit(self, limits: Sequence[Limit]) -> RateLimitDecision:
        """Count one request against every limit, or against none if it exceeds any of them.

        Raises:
            StoreSkippedError: most of the last calls failed, so the store was not called.
            StoreFailedError: the call failed or timed out.
        """
        decision: asyncio.Future[RateLimitDecision] = asyncio.get_running_loop().create_future()
        self._waiting.append((limits, decision))
        if self._worker is None:
            self._worker = asyncio.create_task(self._work())
        try:
            return await decision
        finally:
            # An error refers to this frame, and the future to the error: a cycle, until it is cut.
            del decision

    async def aclose(self) -> None:
        """Close every connection."""
        if self._worker is not None:
            self._worker.cancel()
        await self._store.aclose()

    async def _work(self) -> None:
        """Call the store until no request is waiting."""
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:_BATCH_SIZE], self._waiting[_BATCH_SIZE:]
                try:
                    decisions = await self._decide([limits for limits, _ in batch])
                except StoreFailedError as error:
                    # Requests that arrived in the meantime fail too: they have waited as long.
                    batch, self._waiting = batch + self._waiting, []
                    for _, future in batch:
                        if not future.done():
                            # Without the traceback, which refers to this frame and its futures.
                            future.set_exception(error.with_traceback(None))
                    # The cause of the error can refer to this frame, too.
                    batch.clear()
                    del future
                else:
                    for (_, future), decision in zip(batch, decisions, strict=True):
                        if not future.done():
                            future.set_result(decision)
        finally:
            self._worker = None

    async def _decide(self, requests: Sequence[Sequence[Limit]]) -> list[RateLimitDecision]:
        try:
            with self._breaker.call(lambda _: True):
                return await _in_time(self._store.admit_all(requests), self._timeout)
        except CircuitOpenError as error:
            raise StoreSkippedError(f"{self._address}: not called") from error
        # Everything, because a client library raises more than it documents, and no failure of a
        # store may fail a request.
        except Exception as error:
            cause = str(error) if isinstance(error, StoreFailedError) else cause_of(error)
            raise StoreFailedError(f"{self._address}: {cause}") from error


async def _in_time(work: Coroutine[Any, Any, T], seconds: float) -> T:
    """Return the result of `work`; time in which the event loop was busy elsewhere hardly counts.

    Raises:
        StoreFailedError: it took longer, or the client library cancelled it.
    """
    task = asyncio.create_task(work)
    try:
        for _ in range(_SLICES):
            await asyncio.wait({task}, timeout=seconds / _SLICES)
            if task.done():
                if task.cancelled():
                    raise StoreFailedError("cancelled by the client library")
                return task.result()
        raise StoreFailedError(f"no response within {seconds:g} s")
    finally:
        task.cancel()
        # An error refers to this frame, and the task to the error: a cycle, until it is cut.
        del task


def cause_of(error: BaseException) -> str:
    """Describe an error by its class and the system error behind it, if any.

    The message is left out: Redis quotes the arguments of a command that it does not know, and one
    of them may be the password. Only its first word is used where that is an error code.
    """
    name = type(error).__name__
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and (text := cause.strerror or str(cause)):
            return f"{name}: {text}"
        cause = cause.__cause__ or cause.__context__
    code = str(error).partition(" ")[0]
    return f"{name}: {code}" if code.isascii() and code.isalpha() and code.isupper() else name
