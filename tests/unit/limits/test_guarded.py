import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress

import pytest

from app.limits.guarded import GuardedStore
from app.limits.models import Limit, Rate, RateLimitDecision, StoreFailedError, StoreNotAskedError
from app.limits.redis import RedisStore
from tests.support.measured import promptly

ADA = Limit("user", "ada", Rate(3, 3600))
LONG_SECONDS = 10.0
"""What nobody who has a timeout waits for."""


class SlowStore:
    """A store that takes its time, and knows how often it was asked and given up on.

    Attributes:
        asked: how often.
        given_up: how often nobody waited any longer.
    """

    def __init__(self) -> None:
        self.asked = 0
        self.given_up = 0

    async def admit_all(self, asked: Sequence[Sequence[Limit]]) -> list[RateLimitDecision]:
        """Admit, after a while."""
        self.asked += 1
        try:
            await asyncio.sleep(LONG_SECONDS)
        except asyncio.CancelledError:
            self.given_up += 1
            raise
        return [RateLimitDecision(admitted=True, statuses=()) for _ in asked]

    async def aclose(self) -> None:
        """Let go of nothing."""


async def test_a_store_that_takes_too_long_has_failed() -> None:
    """Whatever the store waits for, nobody else waits for it beyond the timeout."""
    store = SlowStore()

    with promptly(LONG_SECONDS / 2), pytest.raises(StoreFailedError, match=r"^too slow$"):
        await GuardedStore(store, 0.05).admit([ADA])
    await asyncio.sleep(0)

    assert (store.asked, store.given_up) == (1, 1)


async def test_a_store_that_mostly_fails_is_not_asked() -> None:
    """After five requests that it did not answer in time the next ones do not wait for it."""
    store = SlowStore()
    guarded = GuardedStore(store, 0.05)

    with promptly(LONG_SECONDS / 2):
        for _ in range(5):
            with pytest.raises(StoreFailedError, match=r"^too slow$"):
                await guarded.admit([ADA])
        with pytest.raises(StoreNotAskedError, match=r"^not asked$"):
            await guarded.admit([ADA])

    assert store.asked == 5


async def test_who_comes_while_a_store_does_not_answer_waits_no_longer_than_the_first() -> None:
    """They are told together; nobody begins to wait when the others have given up."""
    store = SlowStore()
    guarded = GuardedStore(store, 0.05)
    first = asyncio.create_task(guarded.admit([ADA]))
    while not store.asked:  # noqa: ASYNC110 - it is asked in a turn of its own
        await asyncio.sleep(0)
    later = [asyncio.create_task(guarded.admit([ADA])) for _ in range(3)]
    with promptly(LONG_SECONDS / 2):
        told = await asyncio.gather(first, *later, return_exceptions=True)

    assert [type(one) for one in told] == [StoreFailedError] * 4
    assert store.asked == 1


async def test_who_hangs_up_while_waiting_costs_the_others_nothing() -> None:
    """Whoever is counted with them has a decision."""

    class Store(SlowStore):
        async def admit_all(self, asked: Sequence[Sequence[Limit]]) -> list[RateLimitDecision]:
            await asyncio.sleep(0)
            return [RateLimitDecision(admitted=True, statuses=()) for _ in asked]

    guarded = GuardedStore(Store(), 5)
    gone, *others = [asyncio.create_task(guarded.admit([ADA])) for _ in range(3)]
    await asyncio.sleep(0)
    gone.cancel()

    assert all(one.admitted for one in await asyncio.gather(*others))


async def test_a_store_with_a_fault_of_its_own_leaves_nobody_waiting() -> None:
    """An exception that nobody expected reaches everybody who waits, as what it is."""

    class Store(SlowStore):
        async def admit_all(self, _: Sequence[Sequence[Limit]]) -> list[RateLimitDecision]:
            raise KeyError

    guarded = GuardedStore(Store(), 5)
    told = await asyncio.gather(*(guarded.admit([ADA]) for _ in range(3)), return_exceptions=True)

    assert [type(one) for one in told] == [KeyError] * 3


async def test_a_busy_event_loop_is_no_slow_store(redis_url: str) -> None:
    """An answer that came in time, and lay unread until later, is an answer."""
    store = GuardedStore(RedisStore(redis_url, f"busy-{time.monotonic_ns()}"), 0.1)
    async with asyncio.timeout(20):
        while True:  # Connects, and has the script loaded.
            with suppress(StoreFailedError):
                await store.admit([ADA])
                break
    asking = asyncio.create_task(store.admit([ADA]))
    for _ in range(5):
        await asyncio.sleep(0)
    time.sleep(0.5)  # noqa: ASYNC251 - this is the busy loop

    assert (await asking).admitted
    await store.aclose()


async def test_a_busy_event_loop_is_no_store_that_is_slow_to_connect_to() -> None:
    """Ten turns of the loop are a connection, however long others make each of them."""

    class Store(SlowStore):
        async def admit_all(self, asked: Sequence[Sequence[Limit]]) -> list[RateLimitDecision]:
            for _ in range(10):
                time.sleep(0.02)  # noqa: ASYNC251 - this is the busy loop
                await asyncio.sleep(0)
            return [RateLimitDecision(admitted=True, statuses=()) for _ in asked]

    assert (await GuardedStore(Store(), 0.05).admit([ADA])).admitted
