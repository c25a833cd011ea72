import pytest

from app.apideck.retries import Retries, RetryBudget
from app.errors import ApideckUnavailableError
from app.settings.apideck import RetrySettings


def spent(budget: RetryBudget) -> int:
    """Take out whatever there is, and return how many retries that were."""
    count = 0
    while budget.take_out():
        count += 1
    return count


def test_a_budget_begins_with_its_reserve() -> None:
    """So many retries can be afforded at once, and not one more."""
    assert spent(RetryBudget(0.25, reserve=3)) == 3
    assert spent(RetryBudget(0.25, reserve=0)) == 0


def test_each_request_pays_in_its_part_of_a_retry() -> None:
    """At a quarter four requests make one, and three do not."""
    budget = RetryBudget(0.25, reserve=3)
    spent(budget)

    for _ in range(3):
        budget.pay_in()
    assert not budget.take_out()
    budget.pay_in()
    assert spent(budget) == 1


def test_quiet_times_save_up_no_more_than_the_reserve() -> None:
    """A thousand requests that needed no retry do not make a flood of them."""
    budget = RetryBudget(0.25, reserve=3)
    for _ in range(1000):
        budget.pay_in()

    assert spent(budget) == 3


async def test_what_is_not_asked_again_costs_no_budget() -> None:
    """After many failures that do not pass, one that may is still asked again."""
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
