"""The pages of the emulated Hosted Vault."""

import secrets
import time
from urllib.parse import parse_qsl, quote, urlencode

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from emulators.apideck import rendering
from emulators.apideck.catalogue import LOOK, service_name
from emulators.apideck.connected import described
from emulators.apideck.deliveries import Deliveries
from emulators.apideck.markup import PAGES, Markup, origin, render
from emulators.apideck.state import State
from emulators.apideck.tokens import Tokens
from emulators.apideck.visit import Visit

_HEADERS = {
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
_LOOPBACK = "http://127.0.0.1:* http://localhost:*"
_POLICY = (
    "default-src 'none'; style-src 'self' 'nonce-{nonce}'; script-src 'self'; "
    "img-src 'self' https: http://127.0.0.1:* http://localhost:*; "
    "form-action 'self' {back}; frame-ancestors {ancestors}; base-uri 'none'"
)
_DONE = {
    "connect": "connected",
    "reauthorize": "authorized again",
    "disable": "disabled",
    "enable": "enabled",
    "disconnect": "disconnected",
    "delete": "deleted",
}


class Vault:
    """The pages."""

    def __init__(self, state: State, tokens: Tokens, deliveries: Deliveries) -> None:
        self._state = state
        self._tokens = tokens
        self._deliveries = deliveries

    def routes(self) -> list[BaseRoute]:
        """Return the routes of the pages."""
        return [
            Route("/session/{token}", self._home),
            Route("/integrations/{unified_api}/{service_id}", self._connector),
            Route("/connect", self._change, methods=["POST"]),
            Route("/embedded", self._embedded),
            Mount("/look", StaticFiles(directory=LOOK)),
            Mount("/assets", StaticFiles(directory=PAGES / "assets")),
        ]

    async def _home(self, request: Request) -> Response:
        page = "embedded" if request.query_params.get("embedded") == "true" else "home"
        visit = self._visit(request.path_params["token"], page)
        return _page(visit, rendering.home(visit)) if visit else _expired(page)

    async def _embedded(self, _: Request) -> Response:
        return HTMLResponse(render("embedded.html"), headers=_headers(framed=True))

    async def _connector(self, request: Request) -> Response:
        page = "isolated" if request.query_params.get("isolation") == "true" else "connector"
        visit = self._visit(request.query_params.get("jwt", ""), page)
        if visit is None:
            return _expired()
        api, service = request.path_params["unified_api"], request.path_params["service_id"]
        return _page(visit, rendering.connector(visit, api, service))

    async def _change(self, request: Request) -> Response:
        form = dict(parse_qsl((await request.body()).decode(errors="replace")))
        page = form.get("page", "home")
        visit = self._visit(form.get("jwt", ""), page)
        if visit is None:
            return _expired(page)
        api, service = form.get("unified_api", ""), form.get("service_id", "")
        action = form.get("action", "")
        if action == "fail" and visit.back:
            return _see_other(_with(visit.back, _failure(service)))
        _carry_out(visit, (api, service), action)
        self._deliveries.connection_changed(
            visit.claims["application_id"],
            visit.claims["consumer_id"],
            described(
                api, service, visit.consumer.connections.get((api, service)), self._state.planted
            ),
            action,
        )
        succeeded = action in {"connect", "reauthorize"}
        if succeeded and visit.back and visit.setting("auto_redirect"):
            return _see_other(_with(visit.back, {"authorizedConnection": service}))
        on_home = visit.page not in {"connector", "isolated"}
        return _see_other(visit.home_url if on_home else visit.connector_url(api, service))

    def _visit(self, token: str, page: str) -> Visit | None:
        claims = self._tokens.read(token)
        if claims is None:
            return None
        consumer = self._state.consumer(claims["application_id"], claims["consumer_id"])
        return Visit(token, claims, consumer, int(claims["exp"] - self._tokens.clock()), page)


def _carry_out(visit: Visit, connection: tuple[str, str], action: str) -> None:
    """Change a connection.

    The setting `allow_actions` is ignored here: it selects the actions that the pages offer, and
    does not restrict requests.
    """
    if action in _DONE:
        visit.consumer.change(*connection, action)
        event = f"{time.strftime('%H:%M:%S')} {service_name(*connection)}: {_DONE[action]}"
        visit.consumer.events.append((connection[1], event))


def _page(visit: Visit, content: Markup) -> Response:
    nonce = secrets.token_urlsafe(16)
    # Browsers apply form-action to the redirect after a form, too.
    back = origin(visit.back) if visit.back else ""
    headers = _headers(framed=visit.page == "embedded", nonce=nonce, back=back)
    return HTMLResponse(rendering.page(visit, content, nonce), headers=headers)


def _expired(page: str = "home") -> Response:
    return HTMLResponse(render("expired.html"), 401, _headers(framed=page == "embedded"))


def _headers(*, framed: bool = False, nonce: str = "none", back: str = "") -> dict[str, str]:
    ancestors = _LOOPBACK if framed else "'none'"
    policy = _POLICY.format(nonce=nonce, back=back, ancestors=ancestors)
    # Like the real Vault, this one forbids framing. Only the page for Vault JS may be framed, here
    # by pages on loopback.
    frames = {} if framed else {"x-frame-options": "DENY"}
    return {**_HEADERS, **frames, "content-security-policy": policy}


def _failure(service: str) -> dict[str, str]:
    return {
        "error_type": "ConnectorExecutionError",
        "error_message": "The connector refused the authorization.",
        "origin": "authorize",
        "service_id": service,
        "ref": "https://developers.apideck.com/errors",
    }


def _with(uri: str, parameters: dict[str, str]) -> str:
    return f"{uri}{'&' if '?' in uri else '?'}{urlencode(parameters, quote_via=quote)}"


def _see_other(url: str) -> Response:
    return RedirectResponse(url, 303, _HEADERS)
