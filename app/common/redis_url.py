"""The Redis URLs that this service accepts.

    redis://[user:password@]host[:port][/db][?…]
    unix://[user:password@]/path/to.sock[?…]
    redis+cluster://[user:password@]host[:port][,host[:port]…][?…]
    redis+sentinel://[user:password@]host[:port][,host[:port]…]/service[/db][?…]

`rediss` instead of `redis` means TLS. redis-py hands every query parameter of a URL to the
constructor of its connections, and looks at none of them before it connects: a misspelt one would
fail every request. So only the parameters listed here are accepted.

Source: https://redis.readthedocs.io/en/stable/connections.html (`ConnectionPool.from_url`) for one
host; https://limits.readthedocs.io/en/stable/storage.html for the schemes with several.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple
from urllib.parse import parse_qsl, unquote, urlencode

Mode = Literal["single", "cluster", "sentinel"]

_CREDENTIALS: Final = ("password", "protocol", "username")
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
_PARAMETERS: Final[dict[Mode, tuple[str, ...]]] = {
    "single": ("db", *_CREDENTIALS),
    "cluster": _CREDENTIALS,
    "sentinel": ("db", *_CREDENTIALS, "sentinel_password", "sentinel_username"),
}
_SCHEMES: Final[dict[str, Mode]] = {
    "redis": "single",
    "rediss": "single",
    "unix": "single",
    "redis+cluster": "cluster",
    "rediss+cluster": "cluster",
    "redis+sentinel": "sentinel",
    "rediss+sentinel": "sentinel",
}
_DEFAULT_PORTS: Final[dict[Mode, int]] = {"single": 6379, "cluster": 6379, "sentinel": 26379}
_SENTINEL: Final = "sentinel_"
_MAX_PORT: Final = 65_535
_PARTS: Final = re.compile(
    r"(?P<scheme>[^:/]*)://(?:(?P<userinfo>[^/?#]*)@)?(?P<hosts>[^/?#]*)"
    r"(?P<path>[^?#]*)(?:\?(?P<query>[^#]*))?",
    re.DOTALL,
)
_HOST: Final = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^\[\]:\s]*)(?::(?P<port>[0-9]{1,5}))?")
_PATHS: Final[dict[Mode, str]] = {
    "single": r"/?|/(?P<db>[0-9]{1,5})",
    "cluster": r"/?|/0",
    "sentinel": r"/(?P<service>[A-Za-z0-9._-]{1,255})(?:/(?P<db>[0-9]{1,5}))?",
}
_PATH_FAULTS: Final[dict[Mode, str]] = {
    "single": "must end with the number of a database, such as /0",
    "cluster": "must end after the nodes: a cluster has no database but 0",
    "sentinel": "must end with the name of the primary in Sentinel, such as /mymaster",
}


class Host(NamedTuple):
    """Where a server is reached; an IPv6 address has no brackets."""

    name: str
    port: int

    def __str__(self) -> str:
        return f"[{self.name}]:{self.port}" if ":" in self.name else f"{self.name}:{self.port}"


@dataclass(frozen=True, slots=True)
class RedisUrl:
    """A URL that is accepted.

    Attributes:
        mode: whether it names one server, nodes of a cluster, or sentinels.
        hosts: these servers; none for a socket.
        socket: the path of a socket, or nothing.
        service: what Sentinel calls the primary; empty without Sentinel.
        single: the same URL without Sentinel's part, with one host, as redis-py understands it.
        sentinel: user name and password for the sentinels, as redis-py names them.
        secrets: what must never be logged: all of it, and its passwords in every form.
    """

    mode: Mode
    hosts: tuple[Host, ...]
    socket: str
    service: str
    single: str = field(repr=False)
    sentinel: dict[str, str] = field(repr=False)
    secrets: frozenset[str] = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> "RedisUrl":
        """Return what a URL says.

        Raises:
            ValueError: the URL is not accepted. The message says what is wrong, and contains
                neither the URL nor a password.
        """
        scheme, _, rest = text.partition("://")
        if scheme not in _SCHEMES or "://" not in text:
            raise ValueError(f"must be memory, or a URL that begins with {_listed(_SCHEMES)}")
        if "@" in re.sub(r"^[^/?#]*", "", rest):
            # What looks like a path or a parameter is part of a password, so it is not quoted.
            raise ValueError(
                "must percent-encode @, /, ? and # in user name, password and parameters"
            )
        parts = _PARTS.fullmatch(text)
        if parts is None:
            raise ValueError("must have no fragment")
        mode = _SCHEMES[scheme]
        query = parse_qsl(parts["query"] or "", keep_blank_values=True)
        _check_parameters(scheme, mode, [name for name, _ in query])
        hosts, path, service = _where(scheme, mode, parts)
        userinfo = parts["userinfo"] or ""
        first = str(hosts[0]) if hosts else ""
        plain = [one for one in query if not one[0].startswith(_SENTINEL)]
        return cls(
            mode=mode,
            hosts=hosts,
            service=service,
            socket="" if hosts else unquote(path),
            single=f"{scheme.partition('+')[0]}://{userinfo}@{first}{path}?{urlencode(plain)}",
            sentinel={
                name.removeprefix(_SENTINEL): value
                for name, value in query
                if name.startswith(_SENTINEL)
            },
            secrets=frozenset({text, *_passwords(userinfo, query)}),
        )

    @property
    def address(self) -> str:
        """Where the URL leads, for the operator to read: `host:port`, or the path of a socket."""
        hosts = ",".join(map(str, self.hosts))
        return self.socket or (f"{hosts}/{self.service}" if self.service else hosts)


def _hosts(mode: Mode, text: str) -> tuple[Host, ...]:
    matches = [_HOST.fullmatch(one) for one in text.split(",")]
    hosts = []
    for one in matches:
        port = int(one["port"] or _DEFAULT_PORTS[mode]) if one else _MAX_PORT + 1
        if one is None or port > _MAX_PORT:
            raise ValueError("must be a URL with a port that is a number up to 65535")
        hosts.append(Host(one["host"].strip("[]"), port))
    if not all(host.name for host in hosts):
        raise ValueError("must name a host, such as redis://redis:6379/0")
    if mode == "single" and len(hosts) > 1:
        raise ValueError(
            "must name one host; several go with redis+cluster:// or redis+sentinel://"
        )
    return tuple(hosts)


def _where(scheme: str, mode: Mode, parts: re.Match[str]) -> tuple[tuple[Host, ...], str, str]:
    """Return the hosts; the database or the socket, as a path; and the service."""
    path = parts["path"]
    if scheme == "unix":
        if not path:
            raise ValueError("must name a socket, such as unix:///run/redis.sock")
        return (), path, ""
    hosts = _hosts(mode, parts["hosts"])
    match = re.fullmatch(_PATHS[mode], path)
    if match is None:
        raise ValueError(_PATH_FAULTS[mode])
    found = match.groupdict()
    return hosts, f"/{found['db']}" if found.get("db") else "", found.get("service") or ""


def _passwords(userinfo: str, query: list[tuple[str, str]]) -> Iterator[str]:
    _, _, password = userinfo.partition(":")
    values = [value for name, value in query if name.endswith("password")]
    yield from filter(None, (password, unquote(password), *values))


def _check_parameters(scheme: str, mode: Mode, names: list[str]) -> None:
    accepted = _PARAMETERS[mode] + (_TLS_PARAMETERS if scheme.startswith("rediss") else ())
    for name in names:
        if name not in accepted:
            received = re.sub(r"[^a-z0-9_]", "?", name.lower())[:40]
            raise ValueError(
                f"has the query parameter {received}; with {scheme}:// the accepted ones are "
                + ", ".join(accepted)
            )


def _listed(schemes: dict[str, Mode]) -> str:
    *most, last = [f"{scheme}://" for scheme in schemes]
    return f"{', '.join(most)} or {last}"
