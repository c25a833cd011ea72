"""Counting across processes, in Redis or Valkey: one script, one round trip.

The clock of Redis is used, so that the clocks of the processes need not agree. Why this is not a
library: docs/adr/0008-rate-limits.md.

Source: https://redis.io/docs/latest/develop/programmability/eval-intro/.
"""

from collections.abc import Iterator, Sequence
from typing import cast

from redis.asyncio import Redis

from ..common.redis_url import redis_pool
from .models import Limit, QuotaStatus, RateLimitDecision

_MICROSECONDS = 1_000_000

# KEYS: one for each limit of each request. ARGV: for each request the number of its limits, then
# interval and window of each, in microseconds.
# Returns for each request whether all of its limits admit it, then for each limit the microseconds
# until its quota is full.
_ADMIT = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local response, at, first = {}, 1, 1
while at <= #ARGV do
  local limits, waits, admitted = tonumber(ARGV[at]), {}, 1
  for i = 1, limits do
    local interval, window = tonumber(ARGV[at + 2 * i - 1]), tonumber(ARGV[at + 2 * i])
    local wait = tonumber(redis.call('GET', KEYS[first + i - 1]) or now) - now
    -- At most the window: a clock that is set back must not lock callers out for longer.
    waits[i] = math.min(math.max(wait, 0), window)
    -- Tolerance: floats of this size are multiples of a quarter, and their errors add up.
    if waits[i] + interval > window + math.min(interval / 2, 1000) then admitted = 0 end
  end
  table.insert(response, admitted)
  for i = 1, limits do
    if admitted == 1 then
      waits[i] = waits[i] + tonumber(ARGV[at + 2 * i - 1])
      local lasts = math.max(1, math.ceil(waits[i] / 1000))
      local full_at = string.format('%.2f', now + waits[i])
      redis.call('SET', KEYS[first + i - 1], full_at, 'PX', lasts)
    end
    table.insert(response, math.floor(waits[i] + 0.5))
  end
  at, first = at + 1 + 2 * limits, first + limits
end
return response
"""


class RedisStore:
    """Keeps one number in Redis for each caller whose quota is not full; it expires by itself."""

    def __init__(self, url: str, prefix: str) -> None:
        """Build the client; nothing is connected yet.

        Args:
            url: `redis://`, `rediss://` or `unix://`, with user name, password and database.
            prefix: prefix of every key.

        Raises:
            ValueError: the URL describes no usable connection.
        """
        self._prefix = prefix
        self._redis = Redis.from_pool(redis_pool(url))
        self._admit = self._redis.register_script(_ADMIT)

    async def admit_all(self, requests: Sequence[Sequence[Limit]]) -> list[RateLimitDecision]:
        """Count requests in order, each against all of its limits or against none.

        The caller limits how long this may take.

        Raises:
            Exception: whatever redis-py raises. The connection is closed then, so that the next
                call resolves the host name again: after a failover a connection stays with the old
                primary, which responds READONLY from then on, or MOVED as a node of a cluster.
        """
        keys, numbers = [], []
        for limits in requests:
            numbers.append(float(len(limits)))
            for limit in limits:
                # In braces: a cluster keeps keys with the same text in braces on one node.
                keys.append(f"{{{self._prefix}}}:{limit.policy}:{limit.key}")
                numbers.append(limit.rate.interval * _MICROSECONDS)
                numbers.append(limit.rate.window_seconds * _MICROSECONDS)
        try:
            response = iter(cast("list[int]", await self._admit(keys=keys, args=numbers)))
        except Exception:
            await self._redis.connection_pool.disconnect()
            raise
        return [_decision(limits, response) for limits in requests]

    async def aclose(self) -> None:
        """Close every connection."""
        await self._redis.aclose()


def _decision(limits: Sequence[Limit], response: Iterator[int]) -> RateLimitDecision:
    admitted = bool(next(response))
    return RateLimitDecision(
        admitted, tuple(QuotaStatus(limit, next(response) / _MICROSECONDS) for limit in limits)
    )
