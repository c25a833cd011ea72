import asyncio
import itertools
from collections.abc import Sequence

import pytest

from app.errors import IdentityProviderUnavailableError
from app.identity import cache as module
from app.identity.cache import CachedClaims, ClaimsCache
from app.identity.models import Claims
from tests.support.in_process import Clock


class Counter:
    """Fetches claims that contain the number of the fetch."""

    def __init__(self, seconds: float = 60.0) -> None:
        self.seconds = seconds
        self.fetches = 0

    async def __call__(self) -> CachedClaims:
        """Return the claims after other tasks have run."""
        self.fetches += 1
        await asyncio.sleep(0)
        return CachedClaims({"fetch": self.fetches}, self.seconds)


async def test_the_repr_of_a_cache_entry_contains_no_claims() -> None:
    """Claims are personal data, which must not be logged."""
    cache = ClaimsCache()

    async def fetch() -> CachedClaims:
        return CachedClaims({"name": "Ada Lovelace"}, 60.0)

    assert await cache.get("a-credential", fetch) == {"name": "Ada Lovelace"}
    assert "Ada" not in repr(cache._entries)


async def test_claims_are_cached_for_their_own_time() -> None:
    """Each credential has its own claims and its own time limit."""
    clock, long, short = Clock(), Counter(60), Counter(10)
    cache = ClaimsCache(clock)
    for later in (0, 9.9, 0.1, 49.9, 0.1):
        clock.now += later
        await cache.get("long", long)
        await cache.get("short", short)

    assert (long.fetches, short.fetches) == (2, 3)
    assert await cache.get("long", long) == {"fetch": 2}


@pytest.mark.parametrize("seconds", [0.5, 1.5, 2.5, 3.5])
async def test_claims_that_expire_while_they_are_looked_up_are_fetched(seconds: float) -> None:
    """Time can pass between any two readings of the clock."""
    cache, counter = ClaimsCache(itertools.count(1000.0).__next__), Counter(seconds)
    for _ in range(6):
        assert await cache.get("one", counter) == {"fetch": counter.fetches}

    assert counter.fetches > 1


async def test_simultaneous_requests_with_one_credential_share_a_fetch() -> None:
    """Requests with another credential do not share it, even if nothing is cached."""
    cache, one, other = ClaimsCache(Clock()), Counter(0), Counter(0)

    found: Sequence[Claims] = await asyncio.gather(
        cache.get("one", one), cache.get("one", one), cache.get("other", other)
    )

    assert list(found) == [{"fetch": 1}] * 3
    assert (one.fetches, other.fetches) == (1, 1)


async def test_a_failure_is_not_cached() -> None:
    """The next request causes another fetch."""
    cache = ClaimsCache(Clock())

    async def fail() -> CachedClaims:
        raise IdentityProviderUnavailableError("down")

    with pytest.raises(IdentityProviderUnavailableError):
        await cache.get("one", fail)
    assert await cache.get("one", Counter()) == {"fetch": 1}


async def test_a_cache_has_a_maximum_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its memory is limited, and it contains digests instead of credentials."""
    monkeypatch.setattr(module, "MAX_ENTRIES", 2)
    cache, counter = ClaimsCache(Clock()), Counter()
    for credential in ("a", "b", "c"):
        await cache.get(credential, counter)

    assert len(cache._entries) == 2
    assert {len(key) for key in cache._entries} == {32}
