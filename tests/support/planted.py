"""A service with a planted string for every secret, and the servers that it calls."""

import json
import os
import time
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from emulators.apideck import ApideckEmulator, faults
from emulators.issuer import DevelopmentIssuer
from emulators.issuer import http as issuer_http
from emulators.serving import serve
from tests.support.canaries import Canaries
from tests.support.cookie_session_app import CookieSessionApp
from tests.support.http import bearer
from tests.support.service import merged_settings

ORIGIN = "https://app.example.com"


# Hypothesis warns about arguments with a long repr, and a warning fails a test.
@dataclass(repr=False)
class Received:
    """The path, headers and body of each request that a server received."""

    requests: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)


class RecordingMiddleware:
    """Records every request."""

    def __init__(self, app: ASGIApp, received: Received) -> None:
        self._app = app
        self._received = received

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Record the request, and process it."""
        parts: list[bytes] = []

        async def recording() -> Any:
            message = await receive()
            parts.append(message.get("body", b""))
            return message

        headers = {name.decode(): value.decode("latin-1") for name, value in scope["headers"]}
        path = f"{scope['path']}?{scope['query_string'].decode()}"
        await self._app(scope, recording, send)
        self._received.requests.append((path, headers, b"".join(parts)))


@dataclass
class Planted:
    """The planted strings, the servers, and what they received."""

    canaries: Canaries
    issuer: DevelopmentIssuer
    apideck: ApideckEmulator
    application: CookieSessionApp
    apideck_url: str
    whoami_url: str
    traces_url: str
    to_issuer: Received
    to_application: Received
    to_collector: Received

    def person(self, **claims: Any) -> dict[str, Any]:
        """Return the claims of a person whose name and address are planted."""
        return {"name": self.canaries.name, "email": self.canaries.email, **claims}

    def callers(self) -> dict[str, tuple[dict[str, str], dict[str, Any]]]:
        """Return the headers and body of a successful request, for every kind of caller."""
        consumer = {"account_name": self.canaries.name, "email": self.canaries.email}
        page = {"origin": ORIGIN, "x-vault-session": "1"}
        return {
            "signed token": (bearer(self.issuer.token(**self.person())), {}),
            "opaque token": (bearer(self.canaries.callers_token), {}),
            "application": ({**page, "cookie": f"app_session={self.canaries.cookie}"}, {}),
            "token in a cookie": (
                {**page, "cookie": f"spa={self.issuer.token(aud='spa', **self.person())}"},
                {},
            ),
            "userinfo": (bearer(self.issuer.token(aud="userinfo", omit=["email"])), {}),
            "service": (
                bearer(self.issuer.service_token(aud="services")),
                {"consumer_id": "acme", "consumer_metadata": consumer},
            ),
        }

    def settings(self, **groups: Any) -> dict[str, Any]:
        """Return the service's settings as plain data.

        Args:
            groups: further settings by group, which override these.
        """
        client = {"client_id": issuer_http.CLIENT_ID, "client_secret": self.canaries.client_secret}
        sources: dict[str, dict[str, Any]] = {
            "main": {},
            "opaque": {"audience": "opaque", "introspection": client},
            "spa": {"credential": {"cookie": "spa"}, "audience": "spa"},
            "userinfo": {"audience": "userinfo", "userinfo": True},
            "robots": {"audience": "services", "kind": "services", "grants": {"onboarding": ["*"]}},
        }
        issuers = {
            name: {
                "issuer": self.issuer.issuer,
                "audience": "vault-bff",
                **({"consumer_prefix": f"{name}-"} if name != "robots" else {}),
                **more,
            }
            for name, more in sources.items()
        }
        rails = {
            "cookie": "app_session",
            "whoami_url": self.whoami_url,
            "consumer_prefix": "rails-",
        }
        base = {
            "apideck": {
                "api_key": self.canaries.api_key,
                "app_id": "app",
                "base_url": self.apideck_url,
                "vault_origins": [self.apideck_url],
                "deadline_seconds": 0.5,
                "retries": {"max_attempts": 2, "base_delay_seconds": 0.01},
                "breaker": {"failure_rate": 1, "min_requests": 10_000},
            },
            "identity": {"issuers": issuers, "cookie_sessions": {"rails": rails}},
            "session": {"return_to": {"home": f"{ORIGIN}/home"}},
            "cors": {"allow_origins": [ORIGIN]},
            # The port is closed: counting fails, and the requests are admitted anyway.
            "limits": {"store": f"redis://:{self.canaries.store_password}@127.0.0.1:1/0"},
            "tracing": {
                "endpoint": self.traces_url,
                "headers": {"x-collector-key": self.canaries.collector_key},
                "sample_ratio": 1,
            },
            "log": {"level": "debug"},
        }
        return merged_settings(base, groups)

    def environment(self, port: int, **groups: Any) -> dict[str, str]:
        """Return these settings as the environment of a process."""
        settings = self.settings(**groups).items()
        return {
            **os.environ,
            **{name.upper(): json.dumps(group) for name, group in settings},
            "SERVER__PORT": str(port),
        }

    def session_token(self) -> str:
        """Return a session token for Apideck's response that does not look like a token."""
        claims = json.dumps({"exp": int(time.time()) + 600}).encode()
        payload = urlsafe_b64encode(claims).rstrip(b"=").decode()
        return f"{self.canaries.session_token}.{payload}.x"

    def respond_with_session_token(self) -> None:
        """Make Apideck respond with that token, also in the link, until it is reset."""
        token = self.session_token()
        uri = f"{self.apideck.vault_origin}/session/{token}"
        self.apideck.fail(faults.data(session_token=token, session_uri=uri), times=None)


async def _collect(request: Request) -> Response:
    await request.body()
    return Response()


@contextmanager
def planted() -> Iterator[Planted]:
    """Run the servers that a service with these settings calls."""
    canaries = Canaries()
    issuer, apideck = DevelopmentIssuer(), ApideckEmulator([canaries.api_key])
    application = CookieSessionApp()
    collector = Starlette(routes=[Route("/v1/traces", _collect, methods=["POST"])])
    to_issuer, to_application, to_collector = Received(), Received(), Received()
    issuer.app.add_middleware(RecordingMiddleware, received=to_issuer)
    application.app.add_middleware(RecordingMiddleware, received=to_application)
    collector.add_middleware(RecordingMiddleware, received=to_collector)
    basic = b64encode(f"{issuer_http.CLIENT_ID}:{canaries.client_secret}".encode()).decode()
    with ExitStack() as stack:
        stack.enter_context(patch.object(issuer_http, "_BASIC", f"Basic {basic}"))
        stack.enter_context(issuer.serve())
        apideck_url = stack.enter_context(apideck.serve())
        whoami_url = stack.enter_context(application.serve())
        collector_url = stack.enter_context(serve(collector))
        servers = Planted(
            canaries,
            issuer,
            apideck,
            application,
            apideck_url,
            whoami_url,
            f"{collector_url}/v1/traces",
            to_issuer,
            to_application,
            to_collector,
        )
        person = servers.person(sub="ada", org_id="acme")
        times = {**issuer.times(), "iss": issuer.issuer, "aud": "opaque"}
        issuer.opaque[canaries.callers_token] = {"active": True, **times, **person}
        application.sessions[canaries.cookie] = person
        servers.respond_with_session_token()
        yield servers
