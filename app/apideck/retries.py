"""Retries: whether, when and how often.

Why this is not a library: docs/adr/0010-retries.md.
"""

import asyncio
import itertools
import random
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from ..errors import ApideckError
from ..settings.apideck import RetrySettings

T = TypeVar("T")


class RetryBudget:
    """Limits retries to a share of all calls, so that they do not multiply load during an outage.

    Each call deposits a fraction of a retry, and each retry withdraws a whole one.

    Source: https://finagle.github.io/blog/2016/02/08/retry-budgets/.
    """

    def __init__(self, ratio: float, reserve: int) -> None:
        """Start with the whole reserve.

        Args:
            ratio: retries per call in the long run.
            reserve: the largest number of retries that can be saved up.
        """
        self._ratio = ratio
        self._reserve = float(reserve)
        self._balance = self._reserve

    def deposit(self) -> None:
        """Record one call."""
        self._balance = min(self._balance + self._ratio, self._reserve)

    def withdraw(self) -> bool:
        """Return whether the budget allows one retry, and record it if so."""
        if self._balance < 1:
            return False
        self._balance -= 1
        return True


class Retries:
    """Makes a call in as many attempts as the settings, the deadline and the budget allow."""

    def __init__(self, settings: RetrySettings) -> None:
        self._settings = settings
        self._budget = RetryBudget(settings.budget_ratio, settings.budget_reserve)

    async def run(self, attempt: Callable[[int], Awaitable[T]], deadline_seconds: float) -> T:
        """Return the result of the first attempt that succeeds.

        Args:
            attempt: makes one attempt, given its number from 1. It must end by the deadline.
            deadline_seconds: time for the whole call from now; no attempt begins after it.

        Raises:
            ApideckError: the error of the last attempt.
        """
        self._budget.deposit()
        deadline = time.monotonic() + deadline_seconds
        for number in itertools.count(1):
            started = time.monotonic()
            try:
                return await attempt(number)
            except ApideckError as error:
                delay = self._delay(number, error)
                # A caller who can be given a Retry-After does not wait for an attempt that the
                # deadline would probably cut short.
                needed = 0.0 if error.retry_after is None else time.monotonic() - started
                if (
                    not error.transient
                    or number >= self._settings.max_attempts
                    or time.monotonic() + delay + needed >= deadline
                    # Last, so that only a retry that is made uses the budget.
                    or not self._budget.withdraw()
                ):
                    raise
                await asyncio.sleep(delay)
                if time.monotonic() >= deadline:
                    raise  # A busy event loop has taken longer than the delay.
        raise AssertionError  # The loop does not end by itself.

    def _delay(self, number: int, error: ApideckError) -> float:
        longest = self._settings.base_delay_seconds * 2 ** (number - 1)
        jitter = random.uniform(0, min(longest, self._settings.max_delay_seconds))  # noqa: S311 - not a secret
        # Some jitter on top of a Retry-After: many callers get the same one.
        return jitter if error.retry_after is None else error.retry_after + jitter / 10
