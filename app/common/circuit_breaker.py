"""A circuit breaker: no calls to a system while most of them fail.

Why this is not a library: docs/adr/0007-circuit-breaker.md.

Source: Michael T. Nygard, "Release It!", chapter "Stability Patterns".
"""

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

State = Literal["closed", "half-open", "open"]
Clock = Callable[[], float]


class CircuitOpenError(Exception):
    """The call was not made; another may be made in `retry_after` seconds."""

    def __init__(self, retry_after: float) -> None:
        super().__init__(f"open for another {retry_after:.1f} s")
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Thresholds:
    """When a breaker opens, and when it closes.

    Attributes:
        failure_rate: share of failed calls, in 0 to 1, at which it opens.
        min_calls: calls within the window below which it never opens.
        window_seconds: how long a call counts.
        open_seconds: how long no call is made.
        probes: consecutive successful calls after which it closes.
    """

    failure_rate: float = 0.5
    min_calls: int = 20
    window_seconds: float = 10.0
    open_seconds: float = 5.0
    probes: int = 3


class CircuitBreaker:
    """Opens at a rate of failures, then probes with one call at a time, and closes on successes."""

    def __init__(self, thresholds: Thresholds, clock: Clock = time.monotonic) -> None:
        self._thresholds = thresholds
        self._clock = clock
        self._calls: deque[tuple[float, bool]] = deque()
        self._failures = 0
        self._opened_at: float | None = None
        self._successful_probes = 0
        self._probing = False
        self._generation = 0

    @property
    def state(self) -> State:
        """The state that a call would find right now."""
        if self._opened_at is None:
            return "closed"
        return "open" if self._remaining(self._opened_at) > 0 else "half-open"

    @contextmanager
    def call(self, is_failure: Callable[[Exception], bool | None]) -> Iterator[None]:
        """Count one call as a success or a failure; a cancelled call counts as neither.

        Args:
            is_failure: whether an exception is a failure of the other system; None if it says
                nothing about that system.

        Raises:
            CircuitOpenError: the call must not be made.
        """
        generation = self._admit()
        failed: bool | None = None
        try:
            yield
            failed = False
        except Exception as error:
            failed = is_failure(error)
            raise
        finally:
            # A call that began before the last change of state does not count after it.
            if generation == self._generation:
                self._probing = False
                if failed is not None:
                    self._count(failed)

    def _admit(self) -> int:
        if self._opened_at is not None:
            if (remaining := self._remaining(self._opened_at)) > 0:
                raise CircuitOpenError(remaining)
            if self._probing:
                raise CircuitOpenError(min(1.0, self._thresholds.open_seconds))
            self._probing = True
        return self._generation

    def _remaining(self, opened_at: float) -> float:
        return opened_at + self._thresholds.open_seconds - self._clock()

    def _count(self, failed: bool) -> None:  # noqa: FBT001 - the result of the call is the argument
        if self._opened_at is None:
            self._record(failed)
            enough = len(self._calls) >= self._thresholds.min_calls
            if enough and self._failures >= self._thresholds.failure_rate * len(self._calls):
                self._change(opened_at=self._clock())
        elif failed:
            self._change(opened_at=self._clock())
        else:
            self._successful_probes += 1
            if self._successful_probes >= self._thresholds.probes:
                self._change(opened_at=None)

    def _record(self, failed: bool) -> None:  # noqa: FBT001 - as above
        now = self._clock()
        self._calls.append((now, failed))
        self._failures += failed
        while self._calls[0][0] <= now - self._thresholds.window_seconds:
            self._failures -= self._calls.popleft()[1]

    def _change(self, opened_at: float | None) -> None:
        self._opened_at = opened_at
        self._generation += 1
        self._calls.clear()
        self._failures = self._successful_probes = 0
        self._probing = False
