"""Counting across processes, in Redis or Valkey: one script, one round trip.

The clock of Redis is used, so that the clocks of the processes need not agree. Why this is not a
library: docs/adr/0008-rate-limits.md.

Source: https://redis.io/docs/latest/develop/programmability/eval-intro/.
"""

from collections.abc import Awaitable, Callable, Iterator, Sequence

from redis.exceptions import ResponseError

from ..common.redis_client import Passwords
from ..common.redis_url import RedisUrl
from .models import Limit, QuotaStatus, RateLimitDecision, StoreFailedError
from .redis_primary import Primary, Script, primary_of
from .redis_rights import missing_right

_MICROSECONDS = 1_000_000

# KEYS: one for each limit of each request. ARGV: for each request the number of its limits, then
# interval and window of each, in microseconds.
# Returns for each request whether all of its limits admit it, then for each limit the microseconds
# until its quota is full.
_ADMIT = Script("""
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
""")


async def no_passwords() -> Passwords:
    """Return none: the URL contains what is needed."""
    return Passwords()


class RedisStore:
    """Keeps one number in Redis for each caller whose quota is not full; it expires by itself."""

    def __init__(
        self,
        url: RedisUrl,
        prefix: str,
        passwords: Callable[[], Awaitable[Passwords]] = no_passwords,
    ) -> None:
        """Create the store; it connects when it is used.

        Args:
            url: the server, nodes of its cluster, or its sentinels.
            prefix: prefix of every key.
            passwords: reads the passwords that the URL does not contain.
        """
        self._url = url
        self._prefix = prefix
        self._passwords = passwords
        self._primary: Primary | None = None

    async def admit_all(self, requests: Sequence[Sequence[Limit]]) -> list[RateLimitDecision]:
        """Count requests in order, each against all of its limits or against none.

        The caller limits how long this may take.

        Raises:
            StoreFailedError: the user lacks a right, or a file has no usable password.
            Exception: whatever else redis-py raises. After any failure the next call starts from
                the URL and the files: it resolves host names again, goes to another sentinel or
                node, and uses a new password.
        """
        keys, numbers = [], []
        for limits in requests:
            numbers.append(float(len(limits)))
            for limit in limits:
                # In braces: a cluster keeps keys with the same text in braces on one node.
                keys.append(f"{{{self._prefix}}}:{limit.policy}:{limit.key}")
                numbers.append(limit.rate.interval * _MICROSECONDS)
                numbers.append(limit.rate.window_seconds * _MICROSECONDS)
        # Taken out for the time of the call, and put back only if that goes well.
        primary, self._primary = self._primary, None
        if primary is None:
            primary = primary_of(self._url, await self._passwords())
        try:
            response = iter(await primary.run(_ADMIT, keys, numbers))
        except BaseException as error:  # Also when the caller's time is over: a host may be down.
            await primary.aclose()
            if isinstance(error, ResponseError) and (right := missing_right(error)):
                raise StoreFailedError(right) from error
            raise
        self._primary = primary
        return [_decision(limits, response) for limits in requests]

    async def aclose(self) -> None:
        """Close every connection."""
        if self._primary is not None:
            await self._primary.aclose()


def _decision(limits: Sequence[Limit], response: Iterator[int]) -> RateLimitDecision:
    admitted = bool(next(response))
    return RateLimitDecision(
        admitted, tuple(QuotaStatus(limit, next(response) / _MICROSECONDS) for limit in limits)
    )
