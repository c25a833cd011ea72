"""Cross-origin requests: Starlette's own middleware, with rejections as problems."""

import re
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

import structlog
from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from ..errors import ForbiddenOriginError
from ..settings import CorsSettings, IdentitySettings

logger = structlog.get_logger(__name__)

ALLOWED_METHODS: Final = ("GET", "POST")
ALLOWED_HEADERS: Final = (
    "authorization",
    "content-type",
    "x-request-id",
    # W3C Trace Context and Baggage: a page that traces its requests sends all three.
    "traceparent",
    "tracestate",
    "baggage",
)
EXPOSED_HEADERS: Final = ("x-request-id", "retry-after", "ratelimit", "ratelimit-policy")
MAX_AGE_SECONDS: Final = 600

_MAX_SHOWN = 128
_MAX_HEADERS_SHOWN = 16
_NOT_PRINTABLE = re.compile(r"[^\x20-\x7e]")


class ProblemCORSMiddleware(CORSMiddleware):
    """Lets pages of exactly these origins call the service from a browser.

    `identity` says which headers a page may have to send, and whether cookies.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        cors: CorsSettings,
        identity: IdentitySettings,
        respond: Callable[[Exception, Scope], Response],
    ) -> None:
        super().__init__(
            app,
            allow_origins=cors.allow_origins,
            allow_methods=ALLOWED_METHODS,
            allow_headers=(*ALLOWED_HEADERS, identity.csrf_header, *cors.allow_headers),
            allow_credentials=identity.uses_cookies,
            expose_headers=EXPOSED_HEADERS,
            max_age=MAX_AGE_SECONDS,
            # The operator has listed these pages, whichever network they are from.
            allow_private_network=True,
        )
        self._respond = respond

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to preflight requests, and pass others on."""
        headers = Headers(scope=scope) if scope["type"] == "http" else Headers()
        is_preflight = (
            scope.get("method") == "OPTIONS"
            and "origin" in headers
            and "access-control-request-method" in headers
        )
        if not is_preflight:
            await super().__call__(scope, receive, send)
            return
        response = self.preflight_response(headers)
        if response.status_code >= HTTPStatus.BAD_REQUEST:
            vary = response.headers["vary"]
            response = self._respond(self._rejection(headers), scope)
            response.headers["vary"] = vary
        await response(scope, receive, send)

    def _rejection(self, headers: Headers) -> ForbiddenOriginError:
        """Return what is wrong with a preflight request, and log it."""
        origin, method = headers["origin"], headers["access-control-request-method"]
        requested = headers.get("access-control-request-headers", "").lower().split(",")
        names = (one.strip() for one in requested)
        unknown = [one for one in names if one and one not in self.allow_headers]
        # Anyone can send thousands of names, and a log line with all of them takes long.
        del unknown[_MAX_HEADERS_SHOWN:]
        if not self.is_allowed_origin(origin):
            detail = f"Pages of {_shown(origin)} may not use this service."
        elif method not in self.allow_methods:
            detail = f"Pages may not use the method {_shown(method)} here."
        else:
            detail = f"Pages may not send the header {_shown(', '.join(unknown))} here."
        logger.warning(
            "preflight_rejected",
            origin=_shown(origin),
            method=_shown(method),
            headers=[_shown(name) for name in unknown],
        )
        return ForbiddenOriginError(detail, reason=detail)


def _shown(value: str) -> str:
    """Return what a client sent, short and without characters that have an effect in a terminal."""
    return _NOT_PRINTABLE.sub("?", value[:_MAX_SHOWN])
