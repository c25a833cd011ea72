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
    return shared(url)


def shared(url: str, prefix: str | None = None) -> GuardedStore:
    """Return a store in a Redis, empty unless a prefix is given."""
    return GuardedStore(
        RedisStore(RedisUrl.parse(url), prefix or f"test-{time.monotonic_ns()}"), "redis", 5
    )


async def test_a_whole_quota_is_admitted_and_no_more(store: Store) -> None:
    """The fourth request of a quota of three gets the time after which to retry."""
    decisions = [await store.admit([ADA]) for _ in range(4)]
    await store.aclose()

    assert [one.admitted for one in decisions] == [True, True, True, False]
    assert [one.statuses[0].remaining for one in decisions] == [2, 1, 0, 0]
    assert 1190 < decisions[-1].strictest.retry_after <= 1200


async def test_a_request_that_exceeds_one_limit_is_not_counted_against_the_other(
    store: Store,
) -> None:
    """A caller who exceeds their own limit does not use up the limit that all callers share."""
    for _ in range(20):
        await store.admit([ADA, TOTAL])
    refused = await store.admit([ADA, TOTAL])
    await store.aclose()

    assert refused.strictest.limit is ADA
    assert refused.statuses[1].remaining == 2


async def test_two_processes_share_one_count(redis_url: str) -> None:
    """Two clients of the same Redis admit one quota between them."""
    prefix = f"test-{time.monotonic_ns()}"
    stores = [shared(redis_url, prefix) for _ in range(2)]

    admitted = [(await stores[i % 2].admit([TOTAL])).admitted for i in range(20)]
    for one in stores:
        await one.aclose()

    assert sum(admitted) == 5


async def test_each_request_is_one_round_trip(redis_url: str) -> None:
    """However many limits there are, Redis runs one script."""
    store = shared(redis_url)
    await store.admit([ADA, TOTAL])  # Connects, and has the script loaded.
    async with Redis.from_url(redis_url) as observer:
        await observer.config_resetstat()
        for _ in range(2):
            assert (await store.admit([ADA, TOTAL])).admitted
        asked = await observer.info("commandstats")
    await store.aclose()

    calls = {name.removeprefix("cmdstat_"): stats["calls"] for name, stats in asked.items()}
    calls.pop("config|resetstat")
    in_the_script = {"time": 2, "get": 4, "set": 4}
    assert calls == {"evalsha": 2, **in_the_script}


async def test_concurrent_requests_take_a_few_round_trips_and_are_counted_exactly(
    redis_url: str,
) -> None:
    """Of six hundred concurrent requests three are admitted, in five calls at most."""
    store = shared(redis_url)
    await store.admit([TOTAL])  # Connects, and has the script loaded.
    async with Redis.from_url(redis_url) as observer:
        await observer.config_resetstat()
        decisions = await asyncio.gather(*(store.admit([ADA]) for _ in range(600)))
        asked = await observer.info("commandstats")
    await store.aclose()

    assert sum(one.admitted for one in decisions) == 3
    assert asked["cmdstat_evalsha"]["calls"] <= 5


@pytest.mark.parametrize("quota", [7, 11, 59, 97, 128])
async def test_a_quota_whose_interval_is_not_a_whole_number_of_microseconds_is_exact(
    redis_url: str, quota: int
) -> None:
    """Exactly the quota is admitted when all requests arrive at the same moment."""
    store = shared(redis_url)
    await store.admit([TOTAL])  # Connects, so that the next requests are one call.
    limit = Limit("user", "ada", Rate(quota, 3600))
    decisions = await asyncio.gather(*(store.admit([limit]) for _ in range(quota + 1)))
    await store.aclose()

    assert [one.admitted for one in decisions] == [True] * quota + [False]
    left = [one.statuses[0].remaining for one in decisions]
    assert left == [*range(quota - 1, -1, -1), 0]


async def test_the_largest_quota_can_be_counted(redis_url: str) -> None:
    """A key expires after a millisecond at the earliest."""
    store = shared(redis_url)
    limit = Limit("user", "ada", Rate(100_000, 1))

    assert (await store.admit([limit])).admitted
    await store.aclose()


async def test_a_clock_that_is_set_back_locks_callers_out_for_at_most_one_window(
    redis_url: str,
) -> None:
    """A time in the future counts as at most one window from now."""
    store = shared(redis_url, prefix := f"test-{time.monotonic_ns()}")
    async with Redis.from_url(redis_url) as redis:
        await redis.set(f"{{{prefix}}}:user:ada", int((time.time() + 10 * 3600) * 1e6))
        decision = await store.admit([ADA])
    await store.aclose()

    assert not decision.admitted
    assert decision.strictest.retry_after == 1200


async def test_a_store_that_refuses_connections_has_failed(unused_tcp_port: int) -> None:
    """The caller gets the same kind of error whatever the library raises."""
    store = shared(f"redis://127.0.0.1:{unused_tcp_port}/0")

    with pytest.raises(StoreFailedError):
        await store.admit([ADA])
    await store.aclose()


async def test_quota_refills_evenly() -> None:
    """After a third of the window one more request of three is admitted."""
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
async def test_in_memory_a_whole_quota_is_admitted_at_one_moment(quota: int) -> None:
    """Rounding the interval of one request neither loses nor adds any."""
    store = MemoryStore(clock=lambda: 12_345.678)
    limit = Limit("user", "ada", Rate(quota, 3600))
    decisions = [await store.admit([limit]) for _ in range(quota + 1)]

    assert [one.admitted for one in decisions] == [True] * quota + [False]
    left = [one.statuses[0].remaining for one in decisions]
    assert left == [*range(quota - 1, -1, -1), 0]


@pytest.mark.parametrize("requests", [1, 2])
async def test_a_caller_whose_quota_is_full_at_this_moment_is_dropped(requests: int) -> None:
    """Not later, and the cleanup ends."""
    now = [0.0]
    store = MemoryStore(clock=lambda: now[0])
    for _ in range(requests):
        await store.admit([ADA])
    now[0] = 1200.0 * requests
    await store.admit([TOTAL])

    assert list(store._full_at) == ["all"]


async def test_memory_grows_with_callers_and_not_with_requests() -> None:
    """One caller takes one entry, though their quota is never full."""
    now = [0.0]
    store = MemoryStore(clock=lambda: now[0])
    for _ in range(1000):
        now[0] += 1000
        await store.admit([ADA])

    assert (len(store._full_at), len(store._expiries)) == (1, 1)
