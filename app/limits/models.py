"""Rates, and the state of a caller within one.

The arithmetic is the generic cell rate algorithm (ITU-T I.371): of a quota that refills evenly, one
number is kept, the time until it is full. It admits a whole quota at once and after that as much as
refills, needs no list of past requests, and has no window whose edge lets twice the quota through.
"""

import math
from dataclasses import dataclass
from typing import Self

_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400}


class StoreFailedError(Exception):
    """The store cannot count at the moment; the message names the store and the cause."""


class StoreSkippedError(StoreFailedError):
    """Most of the last calls to the store failed, so it is not called for a moment."""


@dataclass(frozen=True, slots=True)
class Rate:
    """A number of requests in a number of seconds."""

    quota: int
    window_seconds: int

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Return the rate that a setting such as `60/minute` stands for; None for `unlimited`."""
        if text == "unlimited":
            return None
        quota, _, window = text.partition("/")
        return cls(int(quota), _SECONDS[window])

    @property
    def interval(self) -> float:
        """Seconds in which the quota of one request refills."""
        return self.window_seconds / self.quota


@dataclass(frozen=True, slots=True)
class Limit:
    """A rate for one caller, or for all of them.

    Attributes:
        policy: name of the limit, as the headers show it.
        key: the caller that is counted, as a digest that does not identify them.
        rate: the rate.
    """

    policy: str
    key: str
    rate: Rate


@dataclass(frozen=True, slots=True)
class QuotaStatus:
    """The state of a caller within a limit.

    Attributes:
        limit: the limit.
        until_full: seconds until the whole quota is available again.
    """

    limit: Limit
    until_full: float

    @property
    def remaining(self) -> int:
        """Requests that would be admitted right now."""
        rate = self.limit.rate
        # A hundredth of a request of tolerance: seconds are floats, and in Redis microseconds.
        return max(0, math.floor(rate.quota - self.until_full / rate.interval + 0.01))

    @property
    def retry_after(self) -> float:
        """Seconds until the next request would be admitted; 0 if it would be right now."""
        rate = self.limit.rate
        return max(0.0, self.until_full + rate.interval - rate.window_seconds)


@dataclass(frozen=True, slots=True)
class RateLimitDecision:
    """What the limits decided about one request.

    Attributes:
        admitted: whether it is within every limit, and was counted against each; a request that
            exceeds any of them is counted against none.
        statuses: the state of its caller within each limit, this request included.
    """

    admitted: bool
    statuses: tuple[QuotaStatus, ...]

    @property
    def strictest(self) -> QuotaStatus:
        """The limit that delays the caller for longest."""
        return max(self.statuses, key=lambda status: status.retry_after)
