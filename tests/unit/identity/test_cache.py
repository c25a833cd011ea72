import asyncio
from collections.abc import Sequence

import pytest

from app.errors import IdentityProviderUnavailableError
from app.identity import cache as module
from app.identity.cache import Answer, ClaimsCache
from app.identity.models import Claims
from tests.support.in_process import Clock


class Asking:
    """Somebody to ask, who numbers the answers."""

    def __init__(self, seconds: float = 60.0) -> None:
        self.seconds = seconds
        self.times = 0

    async def __call__(self) -> Answer:
        """Answer, once everybody who wants to ask has come."""
        self.times += 1
        await asyncio.sleep(0)
        return {"answer": self.times}, self.seconds


async def test_what_is_remembered_is_not_shown() -> None:
    """A cache in a log line or a debugger's dump holds nobody's name."""
    cache = ClaimsCache()

    async def ask() -> Answer:
        return {"name": "Ada Lovelace"}, 60.0

    assert await cache.get("a-credential", ask) == {"name": "Ada Lovelace"}
    assert repr(cache._answers) == "<1 answers>"


async def test_an_answer_is_believed_for_as_long_as_it_says() -> None:
    """Each credential has its own answer, with an end of its own."""
    clock, long, short = Clock(), Asking(60), Asking(10)
    cache = ClaimsCache(clock)
    for later in (0, 9.9, 0.1, 49.9, 0.1):
        clock.now += later
        await cache.get("long", long)
        await cache.get("short", short)

    assert (long.times, short.times) == (2, 3)
    assert await cache.get("long", long) == {"answer": 2}


async def test_callers_at_the_same_moment_share_an_answer() -> None:
    """Those with the same credential, and nobody else; even where nothing is remembered."""
    cache, one, other = ClaimsCache(Clock()), Asking(0), Asking(0)

    answers: Sequence[Claims] = await asyncio.gather(
        cache.get("one", one), cache.get("one", one), cache.get("other", other)
    )

    assert list(answers) == [{"answer": 1}] * 3
    assert (one.times, other.times) == (1, 1)


async def test_a_failure_is_not_remembered() -> None:
    """Who comes next is asked for again."""
    cache = ClaimsCache(Clock())

    async def fails() -> Answer:
        raise IdentityProviderUnavailableError("down")

    with pytest.raises(IdentityProviderUnavailableError):
        await cache.get("one", fails)
    assert await cache.get("one", Asking()) == {"answer": 1}


async def test_so_many_are_remembered_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many credentials are sent, memory is bounded; none of them stands in it."""
    monkeypatch.setattr(module, "MAX_ENTRIES", 2)
    cache, asking = ClaimsCache(Clock()), Asking()
    for credential in ("a", "b", "c"):
        await cache.get(credential, asking)

    assert len(cache._answers) == 2
    assert {len(key) for key in cache._answers} == {32}
