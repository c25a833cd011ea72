"""Asking again: when, how often, and after how long."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception,
    stop_after_attempt,
    stop_before_delay,
    wait_random_exponential,
)

from app.errors import ApideckError
from app.settings.apideck import RetrySettings

T = TypeVar("T")


class RetryBudget:
    """Lets retries be a share of all requests, so that an outage is not answered with a flood.

    Each request pays in a part of a retry, and each retry takes out a whole one. Source:
    https://finagle.github.io/blog/2016/02/08/retry-budgets/.
    """

    def __init__(self, ratio: float, reserve: int) -> None:
        """Begin with the whole reserve.

        Args:
            ratio: retries per request in the long run.
            reserve: retries that can be saved up.
        """
        self._ratio = ratio
        self._reserve = float(reserve)
        self._balance = self._reserve

    def pay_in(self) -> None:
        """Note one request."""
        self._balance = min(self._balance + self._ratio, self._reserve)

    def take_out(self) -> bool:
        """Tell whether one retry can be afforded, and note it if so."""
        if self._balance < 1:
            return False
        self._balance -= 1
        return True


class Retries:
    """Runs one job in as many attempts as the settings, the deadline and the budget allow."""

    def __init__(self, settings: RetrySettings, note: Callable[[], None]) -> None:
        """Take when to ask again.

        Args:
            settings: how often, and after how long.
            note: is called before each attempt but the first.
        """
        self._attempts = stop_after_attempt(settings.max_attempts)
        self._jitter = wait_random_exponential(
            settings.base_delay_seconds, max=settings.max_delay_seconds
        )
        self._budget = RetryBudget(settings.budget_ratio, settings.budget_reserve)
        self._note = note

    async def run(self, attempt: Callable[[], Awaitable[T]], deadline_seconds: float) -> T:
        """Return what the first attempt that goes well returns.

        Args:
            attempt: one attempt. It has to end by the deadline by itself.
            deadline_seconds: the job's time, from now; no attempt begins after it.

        Raises:
            ApideckError: the last attempt's, when there is to be no other.
        """
        self._budget.pay_in()
        retrying = AsyncRetrying(
            retry=retry_if_exception(_is_transient),
            wait=self._delay,
            # In this order: what is not asked again for another reason costs no budget.
            stop=lambda state: (
                self._attempts(state)
                or stop_before_delay(deadline_seconds)(state)
                or not self._budget.take_out()
            ),
            before_sleep=lambda _: self._note(),
            reraise=True,
        )
        return await retrying(attempt)

    def _delay(self, state: RetryCallState) -> float:
        error = None if state.outcome is None else state.outcome.exception()
        chance = self._jitter(state)
        asked = error.retry_after if isinstance(error, ApideckError) else None
        # A little of chance on top: whoever was told the same second must not come all at once.
        return chance if asked is None else asked + chance / 10


def _is_transient(error: BaseException) -> bool:
    return isinstance(error, ApideckError) and error.transient
