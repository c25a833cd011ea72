import asyncio
import time

import pytest
from redis.asyncio import Redis

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
    return GuardedStore(RedisStore(url, prefix or f"test-{time.monotonic_ns()}"), 5)


async def test_a_whole_quota_is_admitted_and_no_more(store: Store) -> None:
    """The fourth of three is told when to come again."""
    decisions = [await store.admit([ADA]) for _ in range(4)]
    await store.aclose()

    assert [one.admitted for one in decisions] == [True, True, True, False]
    assert [one.statuses[0].remaining for one in decisions] == [2, 1, 0, 0]
    assert 1190 < decisions[-1].strictest.retry_after <= 1200


async def test_who_is_beyond_their_own_limit_uses_up_nobody_elses(store: Store) -> None:
    """What is refused for one limit is not counted for the other."""
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
    """However many limits there are, Redis is asked for one script, which does all the rest."""
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


async def test_many_at_once_are_a_few_questions_and_counted_exactly(redis_url: str) -> None:
    """Of six hundred who come together three are admitted, for five questions at most."""
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
async def test_a_quota_that_is_no_whole_number_of_microseconds_is_exact(
    redis_url: str, quota: int
) -> None:
    """Of so many an hour, all of which come at the same moment, none is lost and none is added."""
    store = shared(redis_url)
    await store.admit([TOTAL])  # Connects, so that what comes now is one question.
    limit = Limit("user", "ada", Rate(quota, 3600))
    decisions = await asyncio.gather(*(store.admit([limit]) for _ in range(quota + 1)))
    await store.aclose()

    assert [one.admitted for one in decisions] == [True] * quota + [False]
    left = [one.statuses[0].remaining for one in decisions]
    assert left == [*range(quota - 1, -1, -1), 0]


async def test_the_largest_quota_can_be_counted(redis_url: str) -> None:
    """A key lasts for a millisecond at least."""
    store = shared(redis_url)
    limit = Limit("user", "ada", Rate(100_000, 1))

    assert (await store.admit([limit])).admitted
    await store.aclose()


async def test_a_clock_that_is_set_back_keeps_nobody_out_for_longer(redis_url: str) -> None:
    """What was counted in the future is at most a whole window away."""
    store = shared(redis_url, prefix := f"test-{time.monotonic_ns()}")
    async with Redis.from_url(redis_url) as redis:
        await redis.set(f"{{{prefix}}}:user:ada", int((time.time() + 10 * 3600) * 1e6))
        decision = await store.admit([ADA])
    await store.aclose()

    assert not decision.admitted
    assert decision.strictest.retry_after == 1200


async def test_a_store_that_is_not_there_has_failed(unused_tcp_port: int) -> None:
    """The caller of the store gets one kind of error, whatever the library raises."""
    store = shared(f"redis://127.0.0.1:{unused_tcp_port}/0")

    with pytest.raises(StoreFailedError):
        await store.admit([ADA])
    await store.aclose()


async def test_quota_comes_back_evenly() -> None:
    """After a third of the window there is room for one more, and memory keeps nobody for good."""
    now = [0.0]
    store = MemoryStore(clock=lambda: now[0])
    for _ in range(3):
        await store.admit([ADA])

    now[0] = 1200.0
    admitted = [(await store.admit([ADA])).admitted for _ in range(2)]
    now[0] = 10_000.0
    await store.admit([TOTAL])

    assert admitted == [True, False]
    assert list(store._whole_at) == ["all"]


@pytest.mark.parametrize("quota", [3, 7, 11, 59, 97, 128])
async def test_in_memory_a_whole_quota_that_comes_at_one_moment_is_admitted(quota: int) -> None:
    """However the seconds of one request round, none is lost and none is added."""
    store = MemoryStore(clock=lambda: 12_345.678)
    limit = Limit("user", "ada", Rate(quota, 3600))
    decisions = [await store.admit([limit]) for _ in range(quota + 1)]

    assert [one.admitted for one in decisions] == [True] * quota + [False]
    left = [one.statuses[0].remaining for one in decisions]
    assert left == [*range(quota - 1, -1, -1), 0]


@pytest.mark.parametrize("requests", [1, 2])
async def test_whose_quota_is_whole_at_this_very_moment_is_forgotten(requests: int) -> None:
    """Not a moment later, and without an end."""
    now = [0.0]
    store = MemoryStore(clock=lambda: now[0])
    for _ in range(requests):
        await store.admit([ADA])
    now[0] = 1200.0 * requests
    await store.admit([TOTAL])

    assert list(store._whole_at) == ["all"]


async def test_memory_grows_with_callers_and_not_with_requests() -> None:
    """However often one of them comes, and though their quota is never whole."""
    now = [0.0]
    store = MemoryStore(clock=lambda: now[0])
    for _ in range(1000):
        now[0] += 1000
        await store.admit([ADA])

    assert (len(store._whole_at), len(store._due)) == (1, 1)
