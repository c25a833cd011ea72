"""The service, Apideck and a web application under the host names of the docs, with TLS."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from emulators.apideck import ApideckEmulator
from emulators.issuer import DevelopmentIssuer
from emulators.serving import serve
from tests.support.gateway import Gateway
from tests.support.ports import free_ports
from tests.support.process import environment_for, serving

SERVICE, VAULT, APP = (
    "https://vault.example.com",
    "https://vault.apideck.com",
    "https://app.example.com",
)
_METHODS = ["GET", "POST"]


@dataclass
class Sites:
    """A server for any host name, with prepared responses.

    Attributes:
        pages: the response for each URL; other URLs get an empty response.
        requests: the received requests, as method and URL.
    """

    pages: dict[str, Response] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)

    @property
    def app(self) -> Starlette:
        """The ASGI app."""
        return Starlette(routes=[Route("/{path:path}", self._respond, methods=_METHODS)])

    async def _respond(self, request: Request) -> Response:
        url = f"https://{request.headers['host']}{request.url.path}"
        self.requests.append(f"{request.method} {url}")
        return self.pages.get(url, Response(status_code=204))


@dataclass(frozen=True)
class Published:
    """All running servers.

    Attributes:
        apideck: the Apideck emulator; its Vault is at https://vault.apideck.com.
        issuer: issues access tokens for the audience `vault-bff`, and cookies for `spa`.
        sites: the server for all other host names.
        gateway: the gateway that forwards each host name to its server.
        service_url: the URL of the service without the gateway, for a backend.
    """

    apideck: ApideckEmulator
    issuer: DevelopmentIssuer
    sites: Sites
    gateway: Gateway
    service_url: str

    def reset(self) -> None:
        """Remove all recorded requests and prepared responses."""
        self.apideck.reset()
        self.sites.pages.clear()
        self.sites.requests.clear()

    @contextmanager
    def forward(self, name: str, url: str) -> Iterator[None]:
        """Forward a host name to another server until the context ends."""
        before = self.gateway.ports[name]
        self.gateway.ports[name] = _port(url)
        yield
        self.gateway.ports[name] = before


@contextmanager
def published() -> Iterator[Published]:
    """Run all servers."""
    apideck, issuer, sites = ApideckEmulator(vault_origin=VAULT), DevelopmentIssuer(), Sites()
    with ExitStack() as running:
        apideck_url, _ = (running.enter_context(one.serve()) for one in (apideck, issuer))
        sites_port = _port(running.enter_context(serve(sites.app)))
        port = free_ports()
        running.enter_context(serving(_environment(issuer.issuer, apideck_url, port)))
        names = dict.fromkeys(
            (
                "app.example.com",
                "other.example.com",
                "evil.example",
                "vaultjs.apideck.com",
                "unify.apideck.com",
            ),
            sites_port,
        )
        gateway = Gateway(
            {**names, "vault.example.com": port, "vault.apideck.com": _port(apideck_url)}
        )
        running.enter_context(gateway.serve())
        yield Published(apideck, issuer, sites, gateway, f"http://127.0.0.1:{port}")


def _environment(issuer: str, apideck: str, port: int) -> dict[str, str]:
    spa, main = "IDENTITY__ISSUERS__SPA", "IDENTITY__ISSUERS__MAIN"
    return {
        **environment_for(issuer, apideck, port),
        f"{main}__CONSUMER_PREFIX": "main:",
        f"{main}__CLAIMS__CONSUMER_ID": "org_id",
        f"{spa}__ISSUER": issuer,
        f"{spa}__AUDIENCE": "spa",
        f"{spa}__CREDENTIAL__COOKIE": "__Host-session",
        f"{spa}__CONSUMER_PREFIX": "spa:",
        f"{spa}__CLAIMS__CONSUMER_ID": "org_id",
        "APIDECK__VAULT_ORIGINS": f'["{VAULT}"]',
        "CORS__ALLOW_ORIGINS": f'["{APP}"]',
        "LIMITS__PER_USER": "unlimited",
        "LOG__LEVEL": "error",
        "SERVER__PUBLIC_URL": SERVICE,
        "SESSION__DEFAULT_RETURN_TO": "settings",
        "SESSION__RETURN_TO__SETTINGS": f"{APP}/return",
    }


def _port(url: str) -> int:
    return int(url.rpartition(":")[2])
