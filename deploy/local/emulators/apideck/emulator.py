"""The Apideck emulator, for tests and for `make demo`."""

import contextlib
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from emulators.apideck.connected import Connected
from emulators.apideck.connections import Connections
from emulators.apideck.control import Control
from emulators.apideck.deliveries import Deliveries
from emulators.apideck.faults import Fault
from emulators.apideck.faulty import not_found
from emulators.apideck.protocol import Transports, protocol_with
from emulators.apideck.request_id import RequestIdMiddleware
from emulators.apideck.sessions import Sessions
from emulators.apideck.state import Consumer, MintedSession, SeenRequest, State
from emulators.apideck.tokens import Tokens
from emulators.apideck.vault import Vault
from emulators.serving import serve

API_KEY = "sk_demo_opens-nothing"
_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


class ApideckEmulator:
    """The parts of Apideck that Vault sessions need.

    Args:
        api_keys: the accepted API keys.
        clock: returns the seconds since 1970; sessions start and expire by it.
        token_secret: signs the session tokens; by default a random one.
        vault_origin: the origin of the Vault's pages; by default the emulator's own.

    Attributes:
        accepted: the accepted Authorization headers.
        vault_origin: the origin of the Vault's pages.
        deliveries: the webhook and its deliveries; the first of the API keys signs them.
        state: recorded requests, created sessions and consumers.
    """

    def __init__(
        self,
        api_keys: Iterable[str] = (API_KEY,),
        *,
        clock: Callable[[], float] = time.time,
        token_secret: bytes | None = None,
        vault_origin: str | None = None,
    ) -> None:
        keys = tuple(api_keys)
        self.accepted = {f"Bearer {key}" for key in keys}
        self.deliveries = Deliveries(keys[0], clock)
        self._fixed_origin = vault_origin
        self.vault_origin = vault_origin or "http://127.0.0.1:8001"
        self.state = State()
        self.tokens = Tokens(clock, token_secret)
        self.transports: Transports = {}
        self.app = Starlette(
            routes=[
                Route("/vault/sessions", self._recorded(Sessions(self).create), methods=["POST"]),
                *Connections(self).routes(self._recorded),
                *Vault(self.state, self.tokens, self.deliveries).routes(),
                *self.deliveries.routes(),
                *Control(self.state).routes(),
                # Requests to unknown paths are recorded, too.
                Route("/{path:path}", self._recorded(not_found), methods=_METHODS),
            ],
            middleware=[Middleware(RequestIdMiddleware)],
        )

    @property
    def requests(self) -> list[SeenRequest]:
        """The requests to the API, in order, without those to the Vault's pages."""
        return self.state.requests

    @property
    def minted(self) -> list[MintedSession]:
        """The created sessions, in order."""
        return self.state.minted

    @property
    def consumers(self) -> dict[tuple[str, str], Consumer]:
        """The consumers, by (app id, consumer id)."""
        return self.state.consumers

    @property
    def disconnects(self) -> int:
        """The number of clients that disconnected before the response."""
        return self.state.disconnects

    def consumer(self, app_id: str, consumer_id: str) -> Consumer:
        """Return a consumer."""
        return self.state.consumer(app_id, consumer_id)

    def fail(self, fault: Fault, times: int | None = 1) -> None:
        """Make the next requests for a session fail; with `times=None` until a reset."""
        self.state.fail(fault, times)

    def fail_connections(self, fault: Fault | None) -> None:
        """Make requests for connections fail until a reset, and those for sessions succeed."""
        self.state.fail_connections(fault)

    def connect(self, app_id: str, consumer_id: str, api: str, service: str) -> Connected:
        """Connect a connector for a consumer, as a person would in the Vault; return it."""
        consumer = self.state.consumer(app_id, consumer_id)
        consumer.change(api, service, "connect")
        return consumer.connections[api, service]

    def protect_redirects(self, registered: Iterable[str]) -> None:
        """Reject unregistered redirect URIs, like an account with redirect protection."""
        self.state.registered_redirects = frozenset(registered)

    def allow_any_redirect(self) -> None:
        """Accept every redirect URI, like an account without redirect protection."""
        self.state.registered_redirects = None

    def reset(self) -> None:
        """Remove all requests, sessions, consumers, faults and the webhook."""
        self.state.reset()
        self.deliveries.reset()

    @contextlib.contextmanager
    def serve(self, port: int = 0, *, host: str = "127.0.0.1") -> Iterator[str]:
        """Serve the emulator, by default on loopback; yields its URL."""
        protocol = protocol_with(self.state, self.transports)
        with serve(self.app, host=host, port=port, http=protocol) as url:
            self.vault_origin = self._fixed_origin or url
            yield url

    def _recorded(
        self, endpoint: Callable[[Request], Awaitable[Response]]
    ) -> Callable[[Request], Awaitable[Response]]:
        async def recorded(request: Request) -> Response:
            headers = [(k.decode("latin-1"), v.decode("latin-1")) for k, v in request.headers.raw]
            body = await request.body()
            seen = SeenRequest(
                request.method, request.url.path, tuple(headers), body, request.url.query
            )
            self.state.requests.append(seen)
            return await endpoint(request)

        return recorded
