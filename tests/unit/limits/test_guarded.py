import asyncio
from collections.abc import Sequence

import pytest

from app.limits.guarded import GuardedStore
from app.limits.models import Limit, Rate, StoreFailedError, StoreNotAskedError, Verdict
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

    async def admit(self, limits: Sequence[Limit]) -> Verdict:
        """Admit, after a while."""
        self.asked += 1
        try:
            await asyncio.sleep(LONG_SECONDS)
        except asyncio.CancelledError:
            self.given_up += 1
            raise
        return Verdict(admitted=bool(limits), standings=())

    async def aclose(self) -> None:
        """Let go of nothing."""


async def test_a_store_that_takes_too_long_has_failed() -> None:
    """Whatever the store waits for, nobody else waits for it beyond the timeout."""
    store = SlowStore()

    with promptly(LONG_SECONDS / 2), pytest.raises(StoreFailedError, match="too slow"):
        await GuardedStore(store, 0.05).admit([ADA])

    assert (store.asked, store.given_up) == (1, 1)


async def test_a_store_that_mostly_fails_is_not_asked() -> None:
    """After five requests that it did not answer in time the next ones do not wait for it."""
    store = SlowStore()
    guarded = GuardedStore(store, 0.05)

    with promptly(LONG_SECONDS / 2):
        for _ in range(5):
            with pytest.raises(StoreFailedError, match="too slow"):
                await guarded.admit([ADA])
        with pytest.raises(StoreNotAskedError):
            await guarded.admit([ADA])

    assert store.asked == 5
