"""`GET /vault/connections`: the connections of a consumer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from emulators.apideck.catalogue import CATALOGUE
from emulators.apideck.connected import Connected, described
from emulators.apideck.faults import Answer, error
from emulators.apideck.faulty import FaultyResponder

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from emulators.apideck.emulator import ApideckEmulator

Links = dict[tuple[str, str], Connected]
"""The connections of a consumer, by (unified API, service)."""

_LOOPBACK = r"http://(127\.0\.0\.1|localhost|\[::1\])(:\d+)?"
_CREDENTIALS = ["authorization", "x-apideck-app-id", "x-apideck-consumer-id"]


class Connections:
    """The endpoints; they accept the API key and, like Apideck, session tokens."""

    def __init__(self, emulator: ApideckEmulator) -> None:
        self._emulator = emulator
        self._state = emulator.state
        self._faulty = FaultyResponder(emulator)

    def routes(
        self,
        recorded: Callable[[Callable[[Request], Awaitable[Response]]], Any],
    ) -> list[BaseRoute]:
        """Return the routes, with CORS for pages on loopback.

        Args:
            recorded: wraps an endpoint so that its requests are recorded.
        """
        cors = Middleware(CORSMiddleware, allow_origin_regex=_LOOPBACK, allow_headers=_CREDENTIALS)
        # CORSMiddleware answers the preflight, which is an OPTIONS request.
        methods = ["GET", "OPTIONS"]
        path = "/vault/connections"
        return [
            Route(path, recorded(self._list), methods=methods, middleware=[cors]),
            Route(
                f"{path}/{{unified_api}}/{{service_id}}",
                recorded(self._get),
                methods=methods,
                middleware=[cors],
            ),
        ]

    async def _list(self, request: Request) -> Response:
        return await self._respond(request, self._listed)

    async def _get(self, request: Request) -> Response:
        return await self._respond(request, self._found)

    async def _respond(
        self, request: Request, content: Callable[[Request, Links | None], Any]
    ) -> Response:
        await request.body()

        def result() -> dict[str, Any] | Answer:
            links = self._links(request)
            data = links if isinstance(links, Answer) else content(request, links)
            if isinstance(data, Answer):
                return data
            return {"status_code": 200, "status": "OK", "data": data}

        return await self._faulty.respond(request, self._state.connections_fault(), result)

    def _listed(self, request: Request, links: Links | None) -> list[Any]:
        """Return every connector of the catalogue, and the consumer's other connections."""
        if links is None:
            return []
        everything = {(api, service) for api, services in CATALOGUE.items() for service in services}
        api, configured = (request.query_params.get(name) for name in ("api", "configured"))
        return [
            described(*key, links.get(key), self._state.planted)
            for key in sorted(everything | set(links))
            if api in {None, key[0]}
            if configured is None or (key in links) == (configured == "true")
        ]

    def _found(self, request: Request, links: Links | None) -> dict[str, Any] | Answer:
        api, service = request.path_params["unified_api"], request.path_params["service_id"]
        known = service in CATALOGUE.get(api, {}) or (api, service) in (links or {})
        if links is None or not known:
            return error(404, f"Connection {api}/{service} was not found")
        return described(api, service, links.get((api, service)), self._state.planted)

    def _links(self, request: Request) -> Links | Answer | None:
        """Return the connections of the request's consumer; None for an unknown consumer."""
        authorization = request.headers.get("authorization", "")
        app_id, consumer_id = (request.headers.get(name) for name in _CREDENTIALS[1:])
        if authorization in self._emulator.accepted:
            if not app_id or not consumer_id:
                missing = [name for name in _CREDENTIALS[1:] if not request.headers.get(name)]
                detail = dict.fromkeys(missing, "is required")
                return error(400, detail, "RequestHeadersValidationError")
            consumer = self._state.known_consumer(app_id, consumer_id)
            return None if consumer is None else consumer.connections
        claims = self._emulator.tokens.read(authorization.removeprefix("Bearer "))
        if claims is None:
            return error(401)
        return self._state.consumer(claims["application_id"], claims["consumer_id"]).connections
