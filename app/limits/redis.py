"""Counting across processes, in Redis or Valkey: one script, one round trip.

Source: https://redis.io/docs/latest/develop/programmability/eval-intro/. The server's clock
counts, so that the clocks of the processes need not agree. Why this is no library:
docs/adr/0008-rate-limits.md.
"""

from collections.abc import Iterator, Sequence
from typing import cast

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from app.limits.models import Limit, QuotaStatus, RateLimitDecision, StoreFailedError

_CONNECTIONS = 2
_MICROSECONDS = 1_000_000

# KEYS: one for each limit of each request. ARGV: for each request the number of its limits, then
# interval and window of each, in microseconds.
# Returns for each request whether all of its limits admit it, then the microseconds until the quota
# of each is whole.
_ADMIT = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local answers, at, first = {}, 1, 1
while at <= #ARGV do
  local limits, waits, admitted = tonumber(ARGV[at]), {}, 1
  for i = 1, limits do
    local interval, window = tonumber(ARGV[at + 2 * i - 1]), tonumber(ARGV[at + 2 * i])
    local wait = tonumber(redis.call('GET', KEYS[first + i - 1]) or now) - now
    -- Never more than the window, or a clock that is set back would keep everybody out.
    waits[i] = math.min(math.max(wait, 0), window)
    -- Of so large a number a quarter is the least that a float can hold, and that adds up.
    if waits[i] + interval > window + math.min(interval / 2, 1000) then admitted = 0 end
  end
  table.insert(answers, admitted)
  for i = 1, limits do
    if admitted == 1 then
      waits[i] = waits[i] + tonumber(ARGV[at + 2 * i - 1])
      local lasts = math.max(1, math.ceil(waits[i] / 1000))
      local whole = string.format('%.2f', now + waits[i])
      redis.call('SET', KEYS[first + i - 1], whole, 'PX', lasts)
    end
    table.insert(answers, math.floor(waits[i] + 0.5))
  end
  at, first = at + 1 + 2 * limits, first + limits
end
return answers
"""


class RedisStore:
    """Keeps one number in Redis for everybody whose quota is not whole; it expires by itself."""

    def __init__(self, url: str, prefix: str) -> None:
        """Take where the store is; nothing is opened yet.

        Args:
            url: `redis://`, `rediss://` or `unix://`, with user, password and database.
            prefix: what every key begins with.
        """
        self._prefix = prefix
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=_CONNECTIONS,
            # Whoever asks bounds all of it together.
            timeout=None,
            socket_timeout=None,
            socket_connect_timeout=None,
            # Once: an idle connection may have been closed by the server meanwhile.
            retry=Retry(NoBackoff(), 1),
        )
        self._redis = Redis.from_pool(pool)
        self._admit = self._redis.register_script(_ADMIT)

    async def admit_all(self, asked: Sequence[Sequence[Limit]]) -> list[RateLimitDecision]:
        """Count requests one after the other, each for every one of its limits or for none.

        For how long is for the caller to bound.

        Raises:
            StoreFailedError: the store does not answer, or with an error.
        """
        keys, numbers = [], []
        for limits in asked:
            numbers.append(float(len(limits)))
            for one in limits:
                # In braces: a cluster keeps keys with equal ones on the same node.
                keys.append(f"{{{self._prefix}}}:{one.policy}:{one.key}")
                numbers.append(one.rate.interval * _MICROSECONDS)
                numbers.append(one.rate.window_seconds * _MICROSECONDS)
        try:
            answers = iter(cast("list[int]", await self._admit(keys=keys, args=numbers)))
        except RedisError as error:
            raise StoreFailedError(type(error).__name__) from error
        return [_decision(limits, answers) for limits in asked]

    async def aclose(self) -> None:
        """Close every connection."""
        await self._redis.aclose()


def _decision(limits: Sequence[Limit], answers: Iterator[int]) -> RateLimitDecision:
    admitted = bool(next(answers))
    return RateLimitDecision(
        admitted, tuple(QuotaStatus(one, next(answers) / _MICROSECONDS) for one in limits)
    )
