"""Not asking somebody who fails most of the time (Nygard, Release It!, "Circuit Breaker").

Why this is no library: docs/adr/0007-circuit-breaker.md.
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
    """Nobody was asked; `retry_after` seconds from now somebody will be."""

    def __init__(self, retry_after: float) -> None:
        super().__init__(f"open for another {retry_after:.1f} s")
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Thresholds:
    """When to stop asking, and when to start again.

    Attributes:
        failure_rate: the share of failures, in 0 to 1, at which asking stops.
        min_calls: calls within the window below which no rate is believed.
        window_seconds: how far back calls count.
        open_seconds: how long nobody is asked.
        probes: calls that must go well, one after the other, before all are let through again.
    """

    failure_rate: float = 0.5
    min_calls: int = 20
    window_seconds: float = 10.0
    open_seconds: float = 5.0
    probes: int = 3


class CircuitBreaker:
    """Opens at a rate of failures, probes with one call at a time, closes when these go well."""

    def __init__(self, thresholds: Thresholds, clock: Clock = time.monotonic) -> None:
        self._thresholds = thresholds
        self._clock = clock
        self._calls: deque[tuple[float, bool]] = deque()
        self._failed = 0
        self._opened_at: float | None = None
        self._good_probes = 0
        self._probing = False
        self._era = 0

    @property
    def state(self) -> State:
        """What a call would meet just now."""
        if self._opened_at is None:
            return "closed"
        return "open" if self._remaining() > 0 else "half-open"

    @contextmanager
    def call(self, is_failure: Callable[[Exception], bool]) -> Iterator[None]:
        """Count one call by how it ends; one that is cancelled says nothing either way.

        Args:
            is_failure: tells whether an exception is the other side's failure.

        Raises:
            CircuitOpenError: the call must not be made.
        """
        era = self._admit()
        failed: bool | None = None
        try:
            yield
            failed = False
        except Exception as error:
            failed = is_failure(error)
            raise
        finally:
            # A call from before the breaker changed its mind does not count after it.
            if era == self._era:
                self._probing = False
                if failed is not None:
                    self._count(failed)

    def _admit(self) -> int:
        if self._opened_at is not None:
            if (remaining := self._remaining()) > 0:
                raise CircuitOpenError(remaining)
            if self._probing:
                raise CircuitOpenError(min(1.0, self._thresholds.open_seconds))
            self._probing = True
        return self._era

    def _remaining(self) -> float:
        assert self._opened_at is not None  # noqa: S101 - who asks has looked
        return self._opened_at + self._thresholds.open_seconds - self._clock()

    def _count(self, failed: bool) -> None:  # noqa: FBT001 - how the call ended is what it counts
        if self._opened_at is None:
            self._remember(failed)
            enough = len(self._calls) >= self._thresholds.min_calls
            if enough and self._failed >= self._thresholds.failure_rate * len(self._calls):
                self._turn(opened_at=self._clock())
        elif failed:
            self._turn(opened_at=self._clock())
        else:
            self._good_probes += 1
            if self._good_probes >= self._thresholds.probes:
                self._turn(opened_at=None)

    def _remember(self, failed: bool) -> None:  # noqa: FBT001 - likewise
        now = self._clock()
        self._calls.append((now, failed))
        self._failed += failed
        while self._calls[0][0] <= now - self._thresholds.window_seconds:
            self._failed -= self._calls.popleft()[1]

    def _turn(self, opened_at: float | None) -> None:
        self._opened_at = opened_at
        self._era += 1
        self._calls.clear()
        self._failed = self._good_probes = 0
        self._probing = False
