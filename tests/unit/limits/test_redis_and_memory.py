import asyncio
import time

import pytest
from redis.asyncio import Redis

from app.common.redis_url import RedisUrl
from app.limits.guarded import GuardedStore, Store
from app.limits.memory import MemoryStore
from app.limits.models import Limit, Rate, StoreFailedError
from app.limits.redis import RedisStore

ADA = Limit("user", "ada", Rate(3, 3600))
TOTAL = Limit("total", "all", Rate(5, 3600))


@pytest.fixture(params=["memory", "redis"])
def store(request: pytest.FixtureRequest) -> Store:
    """Return an empty store of each kind."""
    if request.param == "memory":
        return MemoryStore()
    url: str = request.getfixturevalue("redis_url")
    return redis_store(url)


def redis_store(url: str, prefix: str | None = None) -> GuardedStore:
    """Return a store in Redis, which is empty unless a prefix is given."""
    return GuardedStore(
        RedisStore(RedisUrl.parse(url), prefix or f"test-{time.monotonic_ns()}"), "redis", 5
    )


async def test_exactly_the_quota_is_admitted(store: Store) -> None:
    """With a quota of three, the fourth request gets a time to retry."""
    decisions = [await store.admit([ADA]) for _ in range(4)]
    await store.aclose()

    assert [one.admitted for one in decisions] == [True, True, True, False]
    assert [one.statuses[0].remaining for one in decisions] == [2, 1, 0, 0]
    assert 1190 < decisions[-1].strictest.retry_after <= 1200


async def test_a_request_that_exceeds_one_limit_is_not_counted_against_the_other(
    store: Store,
) -> None:
    """A caller that exceeds its own limit does not use up the limit that all callers share."""
    for _ in range(20):
        await store.admit([ADA, TOTAL])
    refused = await store.admit([ADA, TOTAL])
    await store.aclose()

    assert refused.strictest.limit is ADA
    assert refused.statuses[1].remaining == 2


async def test_two_processes_share_one_count(redis_url: str) -> None:
    """Two clients of the same Redis admit one quota in total."""
    prefix = f"test-{time.monotonic_ns()}"
    stores = [redis_store(redis_url, prefix) for _ in range(2)]

    admitted = [(await stores[i % 2].admit([TOTAL])).admitted for i in range(20)]
    for one in stores:
        await one.aclose()

    assert sum(admitted) == 5


async def test_each_request_is_one_round_trip(redis_url: str) -> None:
    """Redis runs one script for any number of limits."""
    store = redis_store(redis_url)
    await store.admit([ADA, TOTAL])  # Connects, and loads the script.
    async with Redis.from_url(redis_url) as observer:
        await observer.config_resetstat()
        for _ in range(2):
            assert (await store.admit([ADA, TOTAL])).admitted
        commands = await observer.info("commandstats")
    await store.aclose()

    calls = {name.removeprefix("cmdstat_"): stats["calls"] for name, stats in commands.items()}
    calls.pop("config|resetstat")
    in_the_script = {"time": 2, "get": 4, "set": 4}
    assert calls == {"evalsha": 2, **in_the_script}


async def test_concurrent_requests_take_a_few_round_trips_and_are_counted_exactly(
    redis_url: str,
) -> None:
    """Of six hundred concurrent requests, three are admitted, in at most five calls."""
    store = redis_store(redis_url)
    await store.admit([TOTAL])  # Connects, and loads the script.
    async with Redis.from_url(redis_url) as observer:
        await observer.config_resetstat()
        decisions = await asyncio.gather(*(store.admit([ADA]) for _ in range(600)))
        commands = await observer.info("commandstats")
    await store.aclose()

    assert sum(one.admitted for one in decisions) == 3
    assert commands["cmdstat_evalsha"]["calls"] <= 5


@pytest.mark.parametrize("quota", [7, 11, 59, 97, 128])
async def test_a_quota_whose_interval_is_not_a_whole_number_of_microseconds_is_exact(
    redis_url: str, quota: int
) -> None:
    """Exactly the quota is admitted when all requests arrive at the same moment."""
    store = redis_store(redis_url)
    await store.admit([TOTAL])  # Connects, so that the next requests are one call.
    limit = Limit("user", "ada", Rate(quota, 3600))
    decisions = await asyncio.gather(*(store.admit([limit]) for _ in range(quota + 1)))
    await store.aclose()

    assert [one.admitted for one in decisions] == [True] * quota + [False]
    remaining = [one.statuses[0].remaining for one in decisions]
    assert remaining == [*range(quota - 1, -1, -1), 0]


async def test_the_largest_quota_can_be_counted(redis_url: str) -> None:
    """A key expires after a millisecond at the earliest."""
    store = redis_store(redis_url)
    limit = Limit("user", "ada", Rate(100_000, 1))

    assert (await store.admit([limit])).admitted
    await store.aclose()


async def test_a_clock_that_is_set_back_rejects_callers_for_at_most_one_window(
    redis_url: str,
) -> None:
    """A time in the future counts as at most one window from now."""
    store = redis_store(redis_url, prefix := f"test-{time.monotonic_ns()}")
    async with Redis.from_url(redis_url) as redis:
        await redis.set(f"{{{prefix}}}:user:ada", int((time.time() + 10 * 3600) * 1e6))
        decision = await store.admit([ADA])
    await store.aclose()

    assert not decision.admitted
    assert decision.strictest.retry_after == 1200


async def test_a_store_that_refuses_connections_has_failed(unused_tcp_port: int) -> None:
    """The caller gets the error of the store, not the exception of the library."""
    store = redis_store(f"redis://127.0.0.1:{unused_tcp_port}/0")

    with pytest.raises(StoreFailedError):
        await store.admit([ADA])
    await store.aclose()


async def test_quota_refills_evenly() -> None:
    """With a quota of three, one more request is admitted after a third of the window."""
    now = [0.0]
    store = MemoryStore(clock=lambda: now[0])
    for _ in range(3):
        await store.admit([ADA])

    now[0] = 1200.0
    admitted = [(await store.admit([ADA])).admitted for _ in range(2)]
    now[0] = 10_000.0
    await store.admit([TOTAL])

    assert admitted == [True, False]
    assert list(store._full_at) == ["all"]


@pytest.mark.parametrize("quota", [3, 7, 11, 59, 97, 128])
async def test_the_memory_store_admits_exactly_the_quota_at_one_moment(quota: int) -> None:
    """Rounding the interval of a request neither loses nor adds requests."""
    store = MemoryStore(clock=lambda: 12_345.678)
    limit = Limit("user", "ada", Rate(quota, 3600))
    decisions = [await store.admit([limit]) for _ in range(quota + 1)]

    assert [one.admitted for one in decisions] == [True] * quota + [False]
    remaining = [one.statuses[0].remaining for one in decisions]
    assert remaining == [*range(quota - 1, -1, -1), 0]


@pytest.mark.parametrize("requests", [1, 2])
async def test_a_caller_is_removed_from_memory_once_its_quota_is_full(requests: int) -> None:
    """The cleanup at that moment already removes the caller."""
    now = [0.0]
    store = MemoryStore(clock=lambda: now[0])
    for _ in range(requests):
        await store.admit([ADA])
    now[0] = 1200.0 * requests
    await store.admit([TOTAL])

    assert list(store._full_at) == ["all"]


async def test_memory_grows_with_callers_and_not_with_requests() -> None:
    """Each caller uses one entry, even if its quota is never full."""
    now = [0.0]
    store = MemoryStore(clock=lambda: now[0])
    for _ in range(1000):
        now[0] += 1000
        await store.admit([ADA])

    assert (len(store._full_at), len(store._expiries)) == (1, 1)
