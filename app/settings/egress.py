"""`EGRESS__…`: the proxy between this service and the internet."""

import re
from base64 import b64encode
from collections.abc import Iterator
from contextlib import suppress
from ipaddress import ip_network
from typing import Annotated
from urllib.parse import unquote

from pydantic import AfterValidator, SecretStr

from ..common.egress import EgressProxy
from ..common.urls import web_url
from .groups import Group, printable

_PROXY = re.compile(
    r"http://(?:(?P<user>[^:@/?#\s]+):(?P<password>[^:@/?#\s]*)@)?(?P<address>[^@/?#\s]+)/?"
)

_NAME = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?")


def _proxy(value: SecretStr) -> SecretStr:
    match = _PROXY.fullmatch(value.get_secret_value().strip())
    if match is None or not _is_usable(match):
        raise ValueError(
            "must be the URL of a proxy, such as http://user:password@proxy.example.com:3128, "
            "with special characters of user and password percent-encoded"
        )
    return SecretStr(match[0])


def _is_usable(match: re.Match[str]) -> bool:
    user, password = (unquote(match[name] or "") for name in ("user", "password"))
    try:
        web_url(f"https://{match['address']}")
        for part in filter(None, (user, password)):
            printable(part)
    except ValueError:
        return False
    return ":" not in user  # RFC 7617 section 2


def _exception(value: str) -> str:
    with suppress(ValueError):
        ip_network(value.strip("[]"), strict=False)
        return value
    if _NAME.fullmatch(value.removeprefix("*").removeprefix(".")) is None:
        raise ValueError(
            "must be a host name, an address, or a network such as 10.0.0.0/8, without a port"
        )
    return value


ProxyException = Annotated[str, AfterValidator(_exception)]


class EgressSettings(Group):
    """The proxy for requests to issuers, applications, Apideck, webhooks and the collector."""

    proxy: Annotated[SecretStr, AfterValidator(_proxy)] | None = None
    """URL of an HTTP proxy for all outgoing requests, such as
    `http://user:password@proxy.example.com:3128`. By default there is none: variables such as
    `HTTPS_PROXY` are not read. Connections to a rate limit store do not use it."""

    no_proxy: tuple[ProxyException, ...] = ("localhost", "127.0.0.1", "::1")
    """Hosts to which requests are sent directly: names, which include the names below them,
    addresses, and networks such as `10.0.0.0/8`. Networks apply to URLs with an address, because
    names are not resolved."""

    def egress_proxy(self) -> EgressProxy | None:
        """Return the proxy, if there is one."""
        match = self._match()
        if match is None:
            return None
        user, password = match["user"], match["password"]
        credentials = None if user is None else (unquote(user), unquote(password))
        return EgressProxy(f"http://{match['address']}", credentials, self.no_proxy)

    def secrets(self) -> Iterator[str]:
        """Yield what the log must not contain: the password, and the header that contains it."""
        match, proxy = self._match(), self.egress_proxy()
        if match is not None and proxy is not None and proxy.credentials is not None:
            user, password = proxy.credentials
            yield from (password, match["password"], f"{match['user']}:{match['password']}")
            yield b64encode(f"{user}:{password}".encode()).decode()

    def _match(self) -> re.Match[str] | None:
        return None if self.proxy is None else _PROXY.fullmatch(self.proxy.get_secret_value())
