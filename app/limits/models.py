"""Rates, and where somebody stands within one.

The arithmetic is the generic cell rate algorithm (ITU-T I.371): of a quota that fills up evenly,
one number is kept, the time until it is whole again. It admits a whole quota at once and after
that as much as fills up, needs no list of past requests, and has no window whose edge lets twice
as much through.
"""

import math
from dataclasses import dataclass
from typing import Self

_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400}


class StoreFailedError(Exception):
    """The store that counts does not do so just now."""


class StoreNotAskedError(StoreFailedError):
    """The store failed too often just before, and is left alone for a moment."""


@dataclass(frozen=True, slots=True)
class Rate:
    """So many requests in so many seconds."""

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
        """Seconds in which one request's worth of quota comes back."""
        return self.window_seconds / self.quota


@dataclass(frozen=True, slots=True)
class Limit:
    """A rate for somebody.

    Attributes:
        policy: the name of the rule, as the headers show it.
        key: whom it is counted for; no one can tell who that is from it.
        rate: how much that is.
    """

    policy: str
    key: str
    rate: Rate


@dataclass(frozen=True, slots=True)
class QuotaStatus:
    """Where somebody stands within a limit.

    Attributes:
        limit: the limit.
        until_whole: seconds until the whole quota is there again.
    """

    limit: Limit
    until_whole: float

    @property
    def remaining(self) -> int:
        """Requests that would be admitted right now."""
        rate = self.limit.rate
        # A hundredth of a request of tolerance: seconds are floats, and in Redis microseconds.
        return max(0, math.floor(rate.quota - self.until_whole / rate.interval + 0.01))

    @property
    def retry_after(self) -> float:
        """Seconds until the next request would be admitted; 0 when it would be right now."""
        rate = self.limit.rate
        return max(0.0, self.until_whole + rate.interval - rate.window_seconds)


@dataclass(frozen=True, slots=True)
class RateLimitDecision:
    """What the limits say to one request.

    Attributes:
        admitted: whether it is within every limit, and was counted for each; one that is beyond
            any of them is counted for none.
        statuses: where its caller stands within each limit, this request included.
    """

    admitted: bool
    statuses: tuple[QuotaStatus, ...]

    @property
    def strictest(self) -> QuotaStatus:
        """The one that holds the caller up for longest."""
        return max(self.statuses, key=lambda one: one.retry_after)
