"""Identity without sockets or delays: a clock that tests set, and scripted responses."""

import json
import re
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx

from app.errors import VaultBffError
from app.identity.credentials import Credential
from app.identity.fetch import Fetcher
from app.observability.metrics import Metrics
from app.settings import CookieSessionSettings, IdentitySettings, IssuerSettings
from app.settings.credentials import AUTHORIZATION, CredentialLocation
from app.settings.identity_source import ConfiguredSource


class Clock:
    """A clock that only tests advance."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        """Return the current time in seconds."""
        return self.now


class Body(httpx.AsyncByteStream):
    """A response body in chunks; it records whether it was closed."""

    def __init__(self, *chunks: bytes) -> None:
        self.chunks = chunks
        self.closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self.chunks:
            yield chunk

    async def aclose(self) -> None:
        """Record that the body was closed."""
        self.closed = True


class Network:
    """Scripted responses, and a record of the requests.

    Attributes:
        responses: for each URL a status, an exception, a body, a response, a coroutine function
            that returns one of these, or a JSON document.
        requests: the requests, in order.
        fetcher: a fetcher whose requests get these responses.
    """

    def __init__(self, responses: Mapping[str, Any] | None = None) -> None:
        self.responses: dict[str, Any] = dict(responses or {})
        self.requests: list[httpx.Request] = []
        self.metrics = Metrics()
        self.fetcher = self.fetcher_with(timeout_seconds=5.0)

    def fetcher_with(self, timeout_seconds: float, **more: Any) -> Fetcher:
        """Return another fetcher whose requests get these responses."""
        http = httpx.AsyncClient(transport=httpx.MockTransport(self._respond), trust_env=False)
        return Fetcher(http, timeout_seconds, self.metrics, **more)

    def urls(self) -> list[str]:
        """Return the URLs of the requests, in order."""
        return [str(request.url) for request in self.requests]

    async def _respond(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        response = self.responses.get(str(request.url), 404)
        if isinstance(response, Exception):
            raise response
        if callable(response):
            response = await response()
        match response:
            case httpx.Response():
                return response
            case int():
                return httpx.Response(response, stream=Body(b"{}"))
            case bytes():
                return httpx.Response(200, stream=Body(response))
            case _:
                return httpx.Response(200, stream=Body(json.dumps(response).encode()))


def problem_of(error: VaultBffError) -> str:
    """Return the operator's message without the values received and expected."""
    return re.split(": (?:received|expected) ", error.reason or "", maxsplit=1)[0]


def messages(error: VaultBffError) -> tuple[str, str | None]:
    """Return the caller's message and the operator's message of an error."""
    return error.detail, error.reason


def credential(value: str, location: CredentialLocation = AUTHORIZATION) -> Credential:
    """Return a credential, by default a bearer token."""
    return Credential(location, value)


def identity_with(**issuers: dict[str, Any]) -> IdentitySettings:
    """Return identity settings with these issuers, by name."""
    return IdentitySettings.model_validate({"issuers": issuers})


def configured_issuer(settings: IssuerSettings, name: str = "main") -> ConfiguredSource[Any]:
    """Return an issuer with its settings and its name."""
    return ConfiguredSource(f"IDENTITY__ISSUERS__{name.upper()}", name, settings)


def configured_session(
    settings: CookieSessionSettings, name: str = "app"
) -> ConfiguredSource[CookieSessionSettings]:
    """Return an application with cookie sessions, with its settings and its name."""
    return ConfiguredSource(f"IDENTITY__COOKIE_SESSIONS__{name.upper()}", name, settings)
