"""Clients of redis-py for the Redis URLs that this service accepts.

One connection is built, but not opened, when the settings are read: only then does redis-py look at
the values of the parameters.

Source: https://redis.readthedocs.io/en/stable/connections.html.
"""

import random
from dataclasses import dataclass, field
from typing import Any, Final, cast

from redis.asyncio import BlockingConnectionPool, Connection, Redis, Sentinel, SSLConnection
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from .redis_url import Host, RedisUrl

_FIXED: Final = {
    # The caller limits the time of a whole call.
    "socket_timeout": None,
    "socket_connect_timeout": 5.0,
}


@dataclass(frozen=True, slots=True)
class Passwords:
    """Passwords from files; None where the URL has the password, or none is needed.

    Attributes:
        store: of the servers that count.
        sentinel: of the sentinels.
    """

    store: str | None = field(default=None, repr=False)
    sentinel: str | None = field(default=None, repr=False)


def check_redis_url(text: str) -> RedisUrl:
    """Return what a URL says, once redis-py has accepted its parameters; nothing is connected.

    Raises:
        ValueError: the URL describes no usable connection. The message says what is wrong, and
            contains neither the URL nor a password.
    """
    url = RedisUrl.parse(text)
    try:
        connection = _pool(url, Passwords()).make_connection()  # type: ignore[no-untyped-call]
        if isinstance(connection, SSLConnection):
            connection.ssl_context.get()  # Reads the files that the URL names.
    except (RedisError, OSError, TypeError, ValueError) as error:
        reason = str(error)
        if any(secret in reason for secret in url.secrets):
            reason = type(error).__name__
        raise ValueError(f"is not accepted by the Redis client: {reason}") from None
    return url


def has_password(url: RedisUrl) -> bool:
    """Return whether a URL contains the password of the servers that count."""
    return "password" in parse_url(url.single)


def redis_client(url: RedisUrl, passwords: Passwords, host: Host | None = None) -> Redis:
    """Return a client of one server; nothing is connected yet.

    Args:
        url: where to connect, and how.
        passwords: those that the URL does not contain.
        host: the server; by default the first that the URL names.
    """
    client: Redis = Redis.from_pool(_pool(url, passwords, host))
    return client


def sentinel_of(url: RedisUrl, passwords: Passwords) -> Sentinel:
    """Return a client of the sentinels that a URL names; nothing is connected yet.

    They are in random order: redis-py queries one after the other, and one that does not respond
    would otherwise use up the time of every call.
    """
    options = _options(url, passwords)
    own = url.sentinel | ({} if passwords.sentinel is None else {"password": passwords.sentinel})
    is_tls = options.pop("connection_class", Connection) is SSLConnection
    tls = {name: value for name, value in options.items() if name.startswith("ssl_")}
    return Sentinel(  # type: ignore[no-untyped-call]
        random.sample(url.hosts, len(url.hosts)),
        sentinel_kwargs={"ssl": is_tls, **_FIXED, "retry": _once(), **tls, **own},
        ssl=is_tls,
        **options,
    )


def _once() -> Retry:
    # The server may have closed an idle connection in the meantime.
    return Retry(NoBackoff(), 1)


def _options(url: RedisUrl, passwords: Passwords) -> dict[str, Any]:
    options = cast("dict[str, Any]", parse_url(url.single))
    if passwords.store is not None:
        options["password"] = passwords.store
    return {**options, **_FIXED, "retry": _once()}


def _pool(url: RedisUrl, passwords: Passwords, host: Host | None = None) -> BlockingConnectionPool:
    options = _options(url, passwords)
    if host is not None:
        options |= {"host": host.name, "port": host.port}
    # One call is made at a time.
    return BlockingConnectionPool(max_connections=1, timeout=None, **options)
