import time

import pytest
from redis.asyncio import Redis

from app.limits.guarded import Store
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
    return RedisStore(url, f"test-{time.monotonic_ns()}", timeout_seconds=5)


async def test_a_whole_quota_is_admitted_and_no_more(store: Store) -> None:
    """The fourth of three is told when to come again."""
    verdicts = [await store.admit([ADA]) for _ in range(4)]
    await store.aclose()

    assert [one.admitted for one in verdicts] == [True, True, True, False]
    assert [one.standings[0].remaining for one in verdicts] == [2, 1, 0, 0]
    assert 1190 < verdicts[-1].strictest.retry_after <= 1200


async def test_who_is_beyond_their_own_limit_uses_up_nobody_elses(store: Store) -> None:
    """What is refused for one limit is not counted for the other."""
    for _ in range(20):
        await store.admit([ADA, TOTAL])
    refused = await store.admit([ADA, TOTAL])
    await store.aclose()

    assert refused.strictest.limit is ADA
    assert refused.standings[1].remaining == 2


async def test_two_processes_share_one_count(redis_url: str) -> None:
    """Two clients of the same Redis admit one quota between them."""
    prefix = f"test-{time.monotonic_ns()}"
    stores = [RedisStore(redis_url, prefix, timeout_seconds=5) for _ in range(2)]

    admitted = [(await stores[i % 2].admit([TOTAL])).admitted for i in range(20)]
    for one in stores:
        await one.aclose()

    assert sum(admitted) == 5


async def test_each_request_is_one_round_trip(redis_url: str) -> None:
    """However many limits there are, Redis is asked for one script, which does all the rest."""
    store = RedisStore(redis_url, f"test-{time.monotonic_ns()}", timeout_seconds=5)
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


async def test_a_store_that_is_not_there_has_failed(unused_tcp_port: int) -> None:
    """The caller of the store gets one kind of error, whatever the library raises."""
    store = RedisStore(f"redis://127.0.0.1:{unused_tcp_port}/0", "x", timeout_seconds=0.5)

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
