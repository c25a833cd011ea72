import asyncio
import ssl
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ReadOnlyError, RedisError, ResponseError

from app.common.redis_url import RedisUrl
from app.limits.guarded import GuardedStore, cause_of
from app.limits.models import Limit, Rate, RateLimitDecision, StoreFailedError, StoreSkippedError
from app.limits.redis import RedisStore
from tests.support.garbage import errors_in_cycles
from tests.support.measured import takes_less_than

ADA = Limit("user", "ada", Rate(3, 3600))
LONG_SECONDS = 10.0
"""Longer than any timeout in these tests."""


class SlowStore:
    """A store that responds late.

    Attributes:
        calls: how often it was called.
        cancelled: how many calls were cancelled.
    """

    def __init__(self) -> None:
        self.calls = 0
        self.cancelled = 0

    async def admit_all(self, requests: Sequence[Sequence[Limit]]) -> list[RateLimitDecision]:
        """Admit every request, late."""
        self.calls += 1
        try:
            await asyncio.sleep(LONG_SECONDS)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return [RateLimitDecision(admitted=True, statuses=()) for _ in requests]

    async def aclose(self) -> None:
        """Do nothing."""


class FailingStore(SlowStore):
    """A store whose client library raises an exception."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error

    async def admit_all(self, _: Sequence[Sequence[Limit]]) -> list[RateLimitDecision]:
        """Raise the exception."""
        self.calls += 1
        raise self.error


def guarded(store: SlowStore, timeout_seconds: float = 5) -> GuardedStore:
    """Return a store with a guard."""
    return GuardedStore(store, "redis:6379", timeout_seconds)


async def test_a_store_that_responds_too_late_has_failed() -> None:
    """The call is cancelled after the timeout."""
    store = SlowStore()

    with (
        takes_less_than(LONG_SECONDS / 2),
        pytest.raises(StoreFailedError, match=r"^redis:6379: no response within 0\.05 s$"),
    ):
        await guarded(store, 0.05).admit([ADA])
    await asyncio.sleep(0)

    assert (store.calls, store.cancelled) == (1, 1)


async def test_a_store_is_not_called_while_most_calls_fail() -> None:
    """After five failures, the next request does not wait for the store."""
    store = SlowStore()
    guard = guarded(store, 0.05)

    with takes_less_than(LONG_SECONDS / 2):
        for _ in range(5):
            with pytest.raises(StoreFailedError, match="no response"):
                await guard.admit([ADA])
        with pytest.raises(StoreSkippedError, match=r"^redis:6379: not called$"):
            await guard.admit([ADA])

    assert store.calls == 5


async def test_requests_that_arrive_during_a_call_fail_with_it() -> None:
    """They do not start another wait after the first request has timed out."""
    store = SlowStore()
    guard = guarded(store, 0.05)
    first = asyncio.create_task(guard.admit([ADA]))
    while not store.calls:  # noqa: ASYNC110 - the call is made in another task
        await asyncio.sleep(0)
    later = [asyncio.create_task(guard.admit([ADA])) for _ in range(3)]
    with takes_less_than(LONG_SECONDS / 2):
        results = await asyncio.gather(first, *later, return_exceptions=True)

    assert [type(result) for result in results] == [StoreFailedError] * 4
    assert store.calls == 1


async def test_a_client_that_disconnects_does_not_affect_requests_counted_with_it() -> None:
    """The others get their decisions."""

    class Store(SlowStore):
        async def admit_all(self, requests: Sequence[Sequence[Limit]]) -> list[RateLimitDecision]:
            await asyncio.sleep(0)
            return [RateLimitDecision(admitted=True, statuses=()) for _ in requests]

    guard = guarded(Store())
    disconnected, *others = [asyncio.create_task(guard.admit([ADA])) for _ in range(3)]
    await asyncio.sleep(0)
    disconnected.cancel()

    assert all(decision.admitted for decision in await asyncio.gather(*others))


@pytest.mark.parametrize(
    "error",
    [
        KeyError("secret"),
        TypeError("got an unexpected keyword argument 'foo'"),
        RedisError("Invalid SSL Certificate Requirements Flag"),
        OSError(24, "Too many open files"),
        StopIteration(),
        asyncio.CancelledError(),
    ],
    ids=repr,
)
async def test_no_exception_of_a_store_reaches_a_caller(error: BaseException) -> None:
    """Every waiting request gets a StoreFailedError, which the rate limits handle."""
    guard = guarded(FailingStore(error))
    results = await asyncio.gather(*(guard.admit([ADA]) for _ in range(3)), return_exceptions=True)

    assert [type(result) for result in results] == [StoreFailedError] * 3
    assert "secret" not in str(results[0])


async def test_a_failure_creates_no_reference_cycle() -> None:
    """This applies to the error of the store and to its cause, the error of the client library."""

    class LibraryError(Exception):
        pass

    class Store(SlowStore):
        async def admit_all(self, _: Sequence[Sequence[Limit]]) -> list[RateLimitDecision]:
            raise LibraryError

    guard = guarded(Store())

    assert await errors_in_cycles(lambda: guard.admit([ADA]), StoreFailedError) == []


async def test_a_cancelled_request_stays_cancelled() -> None:
    """The cancellation is not reported as a failure of the store."""
    store = SlowStore()
    request = asyncio.create_task(guarded(store).admit([ADA]))
    while not store.calls:  # noqa: ASYNC110 - the call is made in another task
        await asyncio.sleep(0)
    request.cancel()

    with pytest.raises(asyncio.CancelledError):
        await request


def _caused_by(error: Exception, cause: BaseException) -> Exception:
    error.__context__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (ReadOnlyError("You can't write against a read only replica."), "ReadOnlyError"),
        (ResponseError("NOREPLICAS Not enough good replicas"), "ResponseError: NOREPLICAS"),
        (
            ResponseError("unknown command 'AUTH', with args beginning with: 'secret'"),
            "ResponseError",
        ),
        (ResponseError(""), "ResponseError"),
        (ConnectionRefusedError(111, "Connection refused"), "ConnectionRefusedError: Connection r"),
        (
            _caused_by(RedisConnectionError("Error"), OSError(24, "Too many open files")),
            "ConnectionError: Too many open files",
        ),
        (
            _caused_by(RedisConnectionError("Error"), OSError("Multiple exceptions: …")),
            "ConnectionError: Multiple exceptions",
        ),
        (_caused_by(RedisConnectionError("Error"), TimeoutError()), "ConnectionError"),
        (ssl.SSLCertVerificationError(1, "certificate verify failed"), "certificate verify failed"),
    ],
)
def test_the_cause_of_a_failure_is_described_without_its_message(
    error: Exception, cause: str
) -> None:
    """It is the class with a system error or a Redis error code, which contain no password."""
    assert cause in cause_of(error)
    assert "secret" not in cause_of(error)


async def test_a_busy_event_loop_is_not_a_slow_store(redis_url: str) -> None:
    """A response that arrives in time but is read late is accepted."""
    store = GuardedStore(
        RedisStore(RedisUrl.parse(redis_url), f"busy-{time.monotonic_ns()}"), "redis", 0.1
    )
    async with asyncio.timeout(20):
        while True:  # Connects, and loads the script.
            with suppress(StoreFailedError):
                await store.admit([ADA])
                break
    request = asyncio.create_task(store.admit([ADA]))
    for _ in range(5):
        await asyncio.sleep(0)
    _block_event_loop(0.5)

    assert (await request).admitted
    await store.aclose()


async def test_connecting_may_take_ten_iterations_of_a_busy_event_loop() -> None:
    """The duration of each iteration does not matter."""

    class Store(SlowStore):
        async def admit_all(self, requests: Sequence[Sequence[Limit]]) -> list[RateLimitDecision]:
            for _ in range(10):
                _block_event_loop(0.02)
                await asyncio.sleep(0)
            return [RateLimitDecision(admitted=True, statuses=()) for _ in requests]

    assert (await guarded(Store(), 0.05).admit([ADA])).admitted


_block_event_loop: Callable[[float], None] = time.sleep
