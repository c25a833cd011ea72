"""Counting across processes, in Redis or Valkey: one script, one round trip.

Source: https://redis.io/docs/latest/develop/programmability/eval-intro/. The server's clock
counts, so that the clocks of the processes need not agree. Why this is no library:
docs/adr/0008-rate-limits.md.
"""

from collections.abc import Sequence
from typing import cast

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from app.limits.models import Limit, Standing, StoreFailedError, Verdict

_CONNECTIONS = 32
_MICROSECONDS = 1_000_000

# KEYS: one for each limit. ARGV: interval and window of each, in microseconds.
# Returns whether all admit, then for each the microseconds until its quota is whole.
_ADMIT = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local waits, admitted = {}, 1
for i, key in ipairs(KEYS) do
  local wait = math.max(0, tonumber(redis.call('GET', key) or now) - now)
  waits[i] = wait
  if wait + ARGV[2 * i - 1] > tonumber(ARGV[2 * i]) then admitted = 0 end
end
if admitted == 1 then
  for i, key in ipairs(KEYS) do
    waits[i] = waits[i] + ARGV[2 * i - 1]
    redis.call('SET', key, string.format('%.0f', now + waits[i]), 'PX', math.ceil(waits[i] / 1000))
  end
end
return {admitted, unpack(waits)}
"""


class RedisStore:
    """Keeps one number in Redis for everybody whose quota is not whole; it expires by itself."""

    def __init__(self, url: str, prefix: str, timeout_seconds: float) -> None:
        """Take where the store is; nothing is opened yet.

        Args:
            url: `redis://`, `rediss://` or `unix://`, with user, password and database.
            prefix: what every key begins with.
            timeout_seconds: how long any step may take. All of them together are for the caller
                of `admit` to bound.
        """
        self._prefix = prefix
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=_CONNECTIONS,
            timeout=timeout_seconds,
            socket_timeout=timeout_seconds,
            socket_connect_timeout=timeout_seconds,
            # Once: an idle connection may have been closed by the server meanwhile.
            retry=Retry(NoBackoff(), 1),
        )
        self._redis = Redis.from_pool(pool)
        self._admit = self._redis.register_script(_ADMIT)

    async def admit(self, limits: Sequence[Limit]) -> Verdict:
        """Count one request for every limit, or for none when it is beyond any of them.

        Raises:
            StoreFailedError: the store does not answer, or with an error.
        """
        # In braces: a cluster keeps keys with equal ones on the same node.
        keys = [f"{{{self._prefix}}}:{one.policy}:{one.key}" for one in limits]
        numbers = [
            number
            for one in limits
            for number in (
                # Rounded down, so that a whole quota of them fits into the window.
                one.rate.window_seconds * _MICROSECONDS // one.rate.quota,
                one.rate.window_seconds * _MICROSECONDS,
            )
        ]
        try:
            admitted, *waits = cast("list[int]", await self._admit(keys=keys, args=numbers))
        except RedisError as error:
            raise StoreFailedError(type(error).__name__) from error
        seconds = [wait / _MICROSECONDS for wait in waits]
        return Verdict(bool(admitted), tuple(map(Standing, limits, seconds)))

    async def aclose(self) -> None:
        """Close every connection."""
        await self._redis.aclose()
