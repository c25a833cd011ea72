"""The Redis URLs that this service accepts, and the connection pool that one describes.

redis-py hands every query parameter of a URL to the constructor of its connections, and looks at
none of them before it connects: a misspelt one would fail every request. So only the parameters
listed here are accepted, and one connection is built, but not opened, to check their values.

Source: https://redis.readthedocs.io/en/stable/connections.html (`ConnectionPool.from_url`).
"""

import re
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

from redis.asyncio import BlockingConnectionPool, SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

_PARAMETERS: Final = ("db", "password", "protocol", "username")
_TLS_PARAMETERS: Final = (
    "ssl_ca_certs",
    "ssl_ca_path",
    "ssl_cert_reqs",
    "ssl_certfile",
    "ssl_check_hostname",
    "ssl_ciphers",
    "ssl_keyfile",
    "ssl_min_version",
    "ssl_password",
)
_DEFAULT_PORT: Final = 6379
_CONNECT_SECONDS: Final = 5.0


def redis_pool(url: str) -> BlockingConnectionPool:
    """Return the pool that a URL describes; nothing is connected yet.

    Raises:
        ValueError: the URL describes no usable connection. The message says what is wrong, and
            contains neither the URL nor a password.
    """
    _check(url)
    try:
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=1,  # One question is asked at a time.
            # The caller limits the time of a whole question.
            timeout=None,
            socket_timeout=None,
            socket_connect_timeout=_CONNECT_SECONDS,
            # Once: the server may have closed an idle connection in the meantime.
            retry=Retry(NoBackoff(), 1),
        )
        connection = pool.make_connection()  # type: ignore[no-untyped-call]
        if isinstance(connection, SSLConnection):
            connection.ssl_context.get()  # Reads the files that the URL names.
    except (RedisError, OSError, TypeError, ValueError) as error:
        text = str(error)
        leaks = any(secret in text for secret in redis_secrets(url))
        reason = type(error).__name__ if leaks else text
        raise ValueError(f"is not accepted by the Redis client: {reason}") from None
    return pool


def redis_secrets(url: str) -> frozenset[str]:
    """Return what of a URL must never be logged: all of it, and its passwords in every form."""
    parts = urlsplit(url)
    passwords = [parts.password or "", unquote(parts.password or "")]
    passwords += [value for name, value in parse_qsl(parts.query) if name.endswith("password")]
    return frozenset({url, *filter(None, passwords)})


def redis_address(url: str) -> str:
    """Return where a URL leads, for the operator to read: `host:port`, or the path of a socket."""
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return unquote(parts.path)
    return f"{parts.hostname}:{parts.port or _DEFAULT_PORT}"


def _check(url: str) -> None:
    scheme, _, rest = url.partition("://")
    if scheme not in {"redis", "rediss", "unix"}:
        raise ValueError("must be memory, or a URL that begins with redis://, rediss:// or unix://")
    if "@" in re.sub(r"^[^/?#]*", "", rest):
        # What looks like a path or a parameter is part of a password, so it is not quoted.
        raise ValueError("must percent-encode @, /, ? and # in user name, password and parameters")
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise ValueError("must be a URL with a port that is a number up to 65535") from None
    if scheme == "unix" and not parts.path:
        raise ValueError("must name a socket, such as unix:///run/redis.sock")
    if scheme != "unix" and not parts.hostname:
        raise ValueError("must name a host, such as redis://redis:6379/0")
    if scheme != "unix" and re.fullmatch(r"/?|/[0-9]{1,5}", parts.path) is None:
        raise ValueError("must end with the number of a database, such as /0")
    accepted = (*_PARAMETERS, *_TLS_PARAMETERS) if scheme == "rediss" else _PARAMETERS
    for name, _ in parse_qsl(parts.query, keep_blank_values=True):
        if name not in accepted:
            received = re.sub(r"[^a-z0-9_]", "?", name.lower())[:40]
            raise ValueError(
                f"has the query parameter {received}; with {scheme}:// the accepted ones are "
                + ", ".join(accepted)
            )
