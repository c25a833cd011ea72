"""Asking again: when, how often, and after how long.

Why this is no library: docs/adr/0010-retries.md.
"""

import asyncio
import itertools
import random
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

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

    def __init__(self, settings: RetrySettings) -> None:
        """Take how often to ask again, and after how long."""
        self._settings = settings
        self._budget = RetryBudget(settings.budget_ratio, settings.budget_reserve)

    async def run(self, attempt: Callable[[int], Awaitable[T]], deadline_seconds: float) -> T:
        """Return what the first attempt that goes well returns.

        Args:
            attempt: one attempt, given its number from 1. It has to end by the deadline by itself.
            deadline_seconds: the job's time, from now; no attempt begins after it.

        Raises:
            ApideckError: the last attempt's, when there is to be no other.
        """
        self._budget.pay_in()
        deadline = time.monotonic() + deadline_seconds
        for number in itertools.count(1):
            began = time.monotonic()
            try:
                return await attempt(number)
            except ApideckError as error:
                delay = self._delay(number, error)
                # Whoever can be told when to come again is not kept for an attempt that the
                # deadline would cut off.
                needs = 0.0 if error.retry_after is None else time.monotonic() - began
                if (
                    not error.transient
                    or number >= self._settings.max_attempts
                    or time.monotonic() + delay + needs >= deadline
                    # Last, so that what is not asked again anyway costs no budget.
                    or not self._budget.take_out()
                ):
                    raise
            await asyncio.sleep(delay)
        raise AssertionError  # Attempts are without end.

    def _delay(self, number: int, error: ApideckError) -> float:
        longest = self._settings.base_delay_seconds * 2 ** (number - 1)
        chance = random.uniform(0, min(longest, self._settings.max_delay_seconds))  # noqa: S311 - it keeps no secret
        # A little of chance on top: whoever was told the same second must not come all at once.
        return chance if error.retry_after is None else error.retry_after + chance / 10
