"""`GET /vault/connections`, the connections of a consumer."""

from typing import Any

from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from emulators.apideck.faults import error
from emulators.apideck.sessions import to_response
from emulators.apideck.state import Consumer, State
from emulators.apideck.tokens import Tokens

_LOOPBACK = r"http://(127\.0\.0\.1|localhost|\[::1\])(:\d+)?"
_CREDENTIALS = ["authorization", "x-apideck-app-id", "x-apideck-consumer-id"]


def connection(consumer: Consumer, api: str, service: str) -> dict[str, Any]:
    """Return the Connection object of a consumer and a connector."""
    enabled = consumer.connections.get((api, service))
    return {
        "unified_api": api,
        "service_id": service,
        "state": "available" if enabled is None else "callable",
        **({"enabled": False} if enabled is False else {}),
    }


class Connections:
    """The endpoint; it accepts the API key and, like Apideck, session tokens."""

    def __init__(self, state: State, tokens: Tokens, accepted: set[str]) -> None:
        self._state = state
        self._tokens = tokens
        self._accepted = accepted

    def routes(self) -> list[BaseRoute]:
        """Return the route, with CORS for pages on loopback."""
        cors = Middleware(CORSMiddleware, allow_origin_regex=_LOOPBACK, allow_headers=_CREDENTIALS)
        # CORSMiddleware answers the preflight, which is an OPTIONS request.
        methods = ["GET", "OPTIONS"]
        return [Route("/vault/connections", self._list, methods=methods, middleware=[cors])]

    async def _list(self, request: Request) -> Response:
        consumer = self._consumer(request)
        if consumer is None:
            return to_response(error(401))
        listed = [connection(consumer, *one) for one in sorted(consumer.connections)]
        return JSONResponse({"data": listed})

    def _consumer(self, request: Request) -> Consumer | None:
        authorization = request.headers.get("authorization", "")
        app_id, consumer_id = (request.headers.get(name) for name in _CREDENTIALS[1:])
        if authorization in self._accepted and app_id and consumer_id:
            return self._state.consumer(app_id, consumer_id)
        claims = self._tokens.read(authorization.removeprefix("Bearer "))
        if claims is None:
            return None
        return self._state.consumer(claims["application_id"], claims["consumer_id"])
