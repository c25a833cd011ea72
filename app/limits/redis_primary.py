"""The server that counts: one Redis, the primary that Sentinel names, or a node of a cluster.

Why this follows a cluster's redirections itself: docs/adr/0021-limit-store-topologies.md.

Source: https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/ (redirections),
https://redis.io/docs/latest/develop/reference/sentinel-clients/.
"""

import hashlib
import random
from collections.abc import Sequence
from typing import Final, cast

from redis.asyncio import Redis
from redis.exceptions import AskError, MovedError, NoScriptError, ResponseError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from ..common.redis_client import Passwords, redis_client, sentinel_of
from ..common.redis_url import Host, RedisUrl
from .redis_rights import name_missing_right

_MAX_REDIRECTIONS: Final = 5


class Script:
    """A Lua script, and the digest by which a server remembers it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.digest = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


class Primary:
    """Runs scripts on the server that has the keys, until it fails once."""

    def __init__(self, client: Redis) -> None:
        self._client = client

    async def run(self, script: Script, keys: Sequence[str], args: Sequence[float]) -> list[int]:
        """Run a script.

        Raises:
            Exception: whatever redis-py raises.
        """
        return await _run(self._client, script, keys, args)

    async def aclose(self) -> None:
        """Close every connection."""
        await self._client.aclose()


def primary_of(url: RedisUrl, passwords: Passwords) -> Primary:
    """Return the primary behind a URL; nothing is connected yet."""
    if url.mode == "cluster":
        return _OwnerInCluster(url, passwords)
    if url.mode == "sentinel":
        return _PrimaryOfSentinel(url, passwords)
    return Primary(redis_client(url, passwords))


class _PrimaryOfSentinel(Primary):
    """Queries the sentinels before it connects, and again once the primary is a replica."""

    def __init__(self, url: RedisUrl, passwords: Passwords) -> None:
        self._sentinel = sentinel_of(url, passwords)
        super().__init__(self._sentinel.master_for(url.service))

    async def aclose(self) -> None:
        await super().aclose()
        await self._sentinel.aclose()


class _OwnerInCluster(Primary):
    """Follows redirections; all keys are in one slot, so one node owns them all."""

    def __init__(self, url: RedisUrl, passwords: Passwords) -> None:
        self._url = url
        self._passwords = passwords
        self._host, *self._others = random.sample(url.hosts, len(url.hosts))
        super().__init__(redis_client(url, passwords, self._host))

    async def run(self, script: Script, keys: Sequence[str], args: Sequence[float]) -> list[int]:
        for _ in range(_MAX_REDIRECTIONS + len(self._others)):
            try:
                return await _run(self._client, script, keys, args)
            except MovedError as moved:
                await self._go_to(self._named_by(moved))
            except AskError as ask:
                return await self._ask(self._named_by(ask), script, keys, args)
            except (RedisConnectionError, RedisTimeoutError):
                if not self._others:
                    raise
                await self._go_to(self._others.pop())
        raise RedisConnectionError("too many redirections")

    def _named_by(self, redirection: AskError) -> Host:
        # Without a name, it is another port of the same host.
        return Host(redirection.host.strip("[]") or self._host.name, redirection.port)

    async def _go_to(self, host: Host) -> None:
        await self._client.aclose()
        self._host = host
        self._client = redis_client(self._url, self._passwords, host)

    async def _ask(
        self, host: Host, script: Script, keys: Sequence[str], args: Sequence[float]
    ) -> list[int]:
        """Make this one call to the node that the slot is being moved to."""
        async with redis_client(self._url, self._passwords, host) as client:
            await client.execute_command("ASKING")  # type: ignore[no-untyped-call]
            return await _evaluate(client, script, keys, args)


async def _run(
    client: Redis, script: Script, keys: Sequence[str], args: Sequence[float]
) -> list[int]:
    try:
        response = await client.evalsha(script.digest, len(keys), *keys, *args)
    except NoScriptError:
        return await _evaluate(client, script, keys, args)
    except ResponseError as error:
        await name_missing_right(client, error, keys[0])
        raise
    return cast("list[int]", response)


async def _evaluate(
    client: Redis, script: Script, keys: Sequence[str], args: Sequence[float]
) -> list[int]:
    """Run a script that the server may not know, and have it remember the script."""
    try:
        response = await client.eval(script.text, len(keys), *keys, *args)
    except ResponseError as error:
        await name_missing_right(client, error, keys[0])
        raise
    return cast("list[int]", response)
