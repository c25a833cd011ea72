import asyncio
from types import SimpleNamespace

import pytest

from app.apideck.retries import Retries, RetryBudget
from app.errors import ApideckUnavailableError
from app.settings.apideck import RetrySettings
from tests.support.in_process import Clock


def withdrawals(budget: RetryBudget) -> int:
    """Use up the budget, and return how many retries it allowed."""
    count = 0
    while budget.withdraw():
        count += 1
    return count


def test_a_budget_starts_with_its_reserve() -> None:
    """The budget allows exactly that many retries at once."""
    assert withdrawals(RetryBudget(0.25, reserve=3)) == 3
    assert withdrawals(RetryBudget(0.25, reserve=0)) == 0


def test_each_call_deposits_a_fraction_of_a_retry() -> None:
    """With a ratio of a quarter, four calls allow one retry."""
    budget = RetryBudget(0.25, reserve=3)
    withdrawals(budget)

    for _ in range(3):
        budget.deposit()
    assert not budget.withdraw()
    budget.deposit()
    assert withdrawals(budget) == 1


def test_the_budget_does_not_exceed_its_reserve() -> None:
    """A thousand calls without a retry do not allow a thousand retries later."""
    budget = RetryBudget(0.25, reserve=3)
    for _ in range(1000):
        budget.deposit()

    assert withdrawals(budget) == 3


async def test_a_failure_that_is_not_retried_uses_no_budget() -> None:
    """After permanent failures, a temporary one is still retried."""
    settings = RetrySettings(base_delay_seconds=0.001, budget_ratio=0, budget_reserve=1)
    attempts: list[int] = []
    retries = Retries(settings)
    failure = ApideckUnavailableError("")

    async def attempt(number: int) -> None:
        attempts.append(number)
        raise failure

    for transient in (False, False, True, True):
        failure.transient = transient
        with pytest.raises(ApideckUnavailableError):
            await retries.run(attempt, 60)

    assert attempts == [1, 1, 1, 2, 1]


async def test_no_attempt_starts_after_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy event loop can extend a delay; the caller then gets the last error."""
    clock = Clock()
    monkeypatch.setattr("app.apideck.retries.time", SimpleNamespace(monotonic=clock))
    attempts: list[int] = []
    failure = ApideckUnavailableError("")
    failure.transient = True

    async def attempt(number: int) -> None:
        attempts.append(number)
        # Runs during the delay.
        asyncio.get_running_loop().call_soon(setattr, clock, "now", clock.now + 60)
        raise failure

    with pytest.raises(ApideckUnavailableError) as raised:
        await Retries(RetrySettings(base_delay_seconds=0.001)).run(attempt, 60)

    assert raised.value is failure
    assert attempts == [1]
