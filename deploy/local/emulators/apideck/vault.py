"""The stand-in Hosted Vault: shows what the real one would be given, and leads back."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from emulators.apideck.catalogue import CATALOGUE

if TYPE_CHECKING:
    from emulators.apideck.emulator import ApideckEmulator

_PAGES = Path(__file__).parent / "pages"
_COLOUR = re.compile(r"#[0-9a-fA-F]{3}(?:[0-9a-fA-F]{3})?|[a-zA-Z]{3,20}")
_HEADERS = {
    # As the real one: it forbids framing, so it can only be navigated to.
    "x-frame-options": "DENY",
    "content-security-policy": (
        "default-src 'none'; style-src 'unsafe-inline'; img-src * data:; form-action *; "
        "frame-ancestors 'none'; base-uri 'none'"
    ),
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
}


@dataclass(frozen=True, slots=True)
class Visit:
    """Somebody with a valid session on one of the pages."""

    token: str
    claims: dict[str, Any]

    def part(self, name: str) -> dict[str, Any]:
        """Return a part of the session, empty where it was not given."""
        part = self.claims.get(name)
        return part if isinstance(part, dict) else {}


class Vault:
    """The pages."""

    def __init__(self, emulator: ApideckEmulator) -> None:
        self._emulator = emulator

    def routes(self) -> list[BaseRoute]:
        """Return the routes of the pages."""
        return [
            Route("/session/{token}", self._home),
            Route("/integrations/{unified_api}/{service_id}", self._connector),
            Route("/connect", self._change, methods=["POST"]),
            Route("/vault/connections", self._connections),
        ]

    async def _home(self, request: Request) -> Response:
        visit = self._visit(request.path_params["token"])
        if visit is None:
            return _expired()
        apis = visit.part("settings").get("unified_apis") or list(CATALOGUE)
        groups = [self._group(visit, api) for api in apis]
        return _page(visit, "".join(groups))

    async def _connector(self, request: Request) -> Response:
        visit = self._visit(request.query_params.get("jwt", ""))
        if visit is None:
            return _expired()
        api, service = request.path_params["unified_api"], request.path_params["service_id"]
        return _page(visit, self._card(visit, api, service))

    async def _change(self, request: Request) -> Response:
        form = dict(_pairs(await request.body()))
        visit = self._visit(form.get("jwt", ""))
        if visit is None:
            return _expired()
        connection = (form.get("unified_api", ""), form.get("service_id", ""))
        connections = self._connections_of(visit)
        back = visit.claims.get("redirect_uri")
        if form.get("action") == "fail" and back:
            return _see_other(_with(back, _failure(connection[1])))
        if form.get("action") == "disconnect":
            connections.discard(connection)
        else:
            connections.add(connection)
            if back and visit.part("settings").get("auto_redirect"):
                return _see_other(_with(back, {"authorizedConnection": connection[1]}))
        return _see_other(f"/session/{visit.token}")

    async def _connections(self, request: Request) -> Response:
        visit = self._visit(request.headers.get("authorization", "").removeprefix("Bearer "))
        cors = {"access-control-allow-origin": "*", "access-control-allow-headers": "authorization"}
        if visit is None:
            return JSONResponse({"error": "Unauthorized"}, 401, cors)
        listed = [
            {"unified_api": api, "service_id": service, "state": "callable"}
            for api, service in sorted(self._connections_of(visit))
        ]
        return JSONResponse({"data": listed}, headers=cors)

    def _visit(self, token: str) -> Visit | None:
        claims = self._emulator.tokens.read(token)
        return None if claims is None else Visit(token, claims)

    def _connections_of(self, visit: Visit) -> set[tuple[str, str]]:
        claims = visit.claims
        return self._emulator.consumer(claims["application_id"], claims["consumer_id"]).connections

    def _group(self, visit: Visit, api: str) -> str:
        cards = [self._card(visit, api, service) for service in CATALOGUE.get(api, ())]
        title = html.escape(api.replace("-", " ").title())
        return f"<h2>{title}</h2>" + ("".join(cards) or "<p>No connectors here.</p>")

    def _card(self, visit: Visit, api: str, service: str) -> str:
        connected = (api, service) in self._connections_of(visit)
        actions = ["disconnect"] if connected else ["connect"]
        if visit.claims.get("redirect_uri") and not connected:
            actions.append("fail")
        allowed = visit.part("settings").get("allow_actions")
        if connected and allowed is not None and "disconnect" not in allowed:
            actions = []
        buttons = "".join(_button(visit, api, service, action) for action in actions)
        state = "Connected" if connected else "Not connected"
        name = CATALOGUE.get(api, {}).get(service, service)
        return (
            f'<section class="card"><div><h3>{html.escape(name)}</h3><p>{state}</p></div>'
            f'<div class="actions">{buttons}</div></section>'
        )


def _button(visit: Visit, api: str, service: str, action: str) -> str:
    label = {"connect": "Connect", "disconnect": "Disconnect", "fail": "Simulate an error"}[action]
    fields = {"jwt": visit.token, "unified_api": api, "service_id": service, "action": action}
    hidden = "".join(
        f'<input type="hidden" name="{name}" value="{html.escape(value)}">'
        for name, value in fields.items()
    )
    kind = ' class="quiet"' if action != "connect" else ""
    return f'<form method="post" action="/connect">{hidden}<button{kind}>{label}</button></form>'


def _page(visit: Visit, content: str) -> Response:
    metadata, theme, settings = (
        visit.part(name) for name in ("consumer_metadata", "theme", "settings")
    )
    back = visit.claims.get("redirect_uri")
    values = {
        "vault_name": theme.get("vault_name", "Integrations"),
        "account_name": metadata.get("account_name", ""),
        "user_name": metadata.get("user_name", visit.claims["consumer_id"]),
        "email": metadata.get("email", ""),
        "consumer_id": visit.claims["consumer_id"],
        "expires": str(visit.claims["exp"]),
    }
    markup = {
        "style": (_PAGES / "vault.css").read_text(),
        "primary": _colour(theme.get("primary_color"), "#4f46e5"),
        "side_background": _colour(theme.get("sidepanel_background_color"), "#111827"),
        "side_text": _colour(theme.get("sidepanel_text_color"), "#f9fafb"),
        "logo": _image(theme.get("logo"), "logo"),
        "image": _image(metadata.get("image"), "face"),
        "sidebar": "" if settings.get("show_sidebar", True) else "hidden",
        "sandbox": "" if settings.get("sandbox_mode") else "hidden",
        "logs": "" if settings.get("show_logs", True) else "hidden",
        "back": _back(back) if back else "",
        "content": content,
    }
    page = Template((_PAGES / "vault.html").read_text())
    escaped = {name: html.escape(str(value)) for name, value in values.items()}
    return HTMLResponse(page.substitute(**escaped, **markup), headers=_HEADERS)


def _expired() -> Response:
    return HTMLResponse((_PAGES / "expired.html").read_text(), 401, _HEADERS)


def _back(uri: str) -> str:
    host = html.escape(urlsplit(uri).netloc)
    return f'<a class="back" href="{html.escape(uri)}">&larr; Back to {host}</a>'


def _image(url: Any, kind: str) -> str:
    if not isinstance(url, str) or not url.startswith(("https://", "http://")):
        return ""
    return f'<img class="{kind}" src="{html.escape(url)}" alt="">'


def _colour(value: Any, default: str) -> str:
    return value if isinstance(value, str) and _COLOUR.fullmatch(value) else default


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


def _pairs(body: bytes) -> list[tuple[str, str]]:
    return parse_qsl(body.decode())
