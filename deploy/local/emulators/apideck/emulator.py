"""The emulator: what tests drive by hand and `make demo` runs as a server."""

import contextlib
import os
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import asdict
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from emulators.apideck.faults import NAMED, Fault
from emulators.apideck.protocol import Transports, protocol_with
from emulators.apideck.sessions import Sessions
from emulators.apideck.state import Consumer, MintedSession, SeenRequest, State
from emulators.apideck.tokens import Tokens
from emulators.apideck.vault import Vault
from emulators.serving import serve

API_KEY = "sk_demo_opens-nothing"


class ApideckEmulator:
    """Apideck, as far as a Vault session is concerned.

    Attributes:
        accepted: the Authorization headers that it accepts.
        vault_origin: where its sessions open.
        state: what it saw, made and remembers.
    """

    def __init__(self, api_keys: Iterable[str] = (API_KEY,)) -> None:
        self.accepted = {f"Bearer {key}" for key in api_keys}
        self.vault_origin = "http://127.0.0.1:8001"
        self.state = State()
        self.tokens = Tokens()
        self.transports: Transports = {}
        vault = Vault(self)
        self.app = Starlette(
            routes=[
                Route("/vault/sessions", self._recorded(Sessions(self).create), methods=["POST"]),
                *vault.routes(),
                Route("/__emulator__/requests", self._show_requests),
                Route("/__emulator__/minted", self._show_minted),
                Route("/__emulator__/fail", self._fail, methods=["POST"]),
                Route("/__emulator__/protect-redirects", self._protect, methods=["POST"]),
                Route("/__emulator__/reset", self._reset, methods=["POST"]),
            ]
        )

    @property
    def requests(self) -> list[SeenRequest]:
        """Every request for a session, in order."""
        return self.state.requests

    @property
    def minted(self) -> list[MintedSession]:
        """Every session that was made, in order."""
        return self.state.minted

    def consumer(self, app_id: str, consumer_id: str) -> Consumer:
        """Return what is known of a consumer."""
        return self.state.consumer(app_id, consumer_id)

    def fail(self, fault: Fault, times: int | None = 1) -> None:
        """Have the next requests for a session go wrong; `times=None` until reset."""
        self.state.fail(fault, times)

    def protect_redirects(self, registered: Iterable[str]) -> None:
        """Refuse redirect URIs that are not registered, as an account can have it."""
        self.state.registered_redirects = frozenset(registered)

    def reset(self) -> None:
        """Forget everything."""
        self.state.reset()

    @contextlib.contextmanager
    def serve(self, port: int = 0) -> Iterator[str]:
        """Serve the emulator on loopback; yields its URL, where its Vault is, too."""
        protocol = protocol_with(self.state, self.transports)
        with serve(self.app, port=port, http=protocol) as url:
            self.vault_origin = url
            yield url

    def _recorded(
        self, endpoint: Callable[[Request], Awaitable[Response]]
    ) -> Callable[[Request], Awaitable[Response]]:
        async def recorded(request: Request) -> Response:
            headers = [(k.decode("latin-1"), v.decode("latin-1")) for k, v in request.headers.raw]
            body = await request.body()
            seen = SeenRequest(request.method, request.url.path, tuple(headers), body)
            self.state.requests.append(seen)
            return await endpoint(request)

        return recorded

    async def _show_requests(self, _: Request) -> Response:
        shown = [
            {"path": r.path, "headers": dict(r.headers), "json": r.json} for r in self.requests
        ]
        return JSONResponse(shown)

    async def _show_minted(self, _: Request) -> Response:
        return JSONResponse([asdict(minted) for minted in self.minted])

    async def _fail(self, request: Request) -> Response:
        asked: dict[str, Any] = await request.json()
        fault = NAMED.get(str(asked.get("fault")))
        if fault is None:
            return JSONResponse({"faults": sorted(NAMED)}, 404)
        self.fail(fault, asked.get("times", 1))
        return JSONResponse({"status": "as you wish"})

    async def _protect(self, request: Request) -> Response:
        self.protect_redirects((await request.json())["registered"])
        return JSONResponse({"status": "as you wish"})

    async def _reset(self, _: Request) -> Response:
        self.reset()
        return JSONResponse({"status": "as you wish"})


def from_environment() -> ApideckEmulator:
    """Return an emulator that accepts the key in `EMULATOR_API_KEY`, or the demo's own."""
    return ApideckEmulator([os.environ.get("EMULATOR_API_KEY", API_KEY)])
