"""Creates the context of each request: its id, and when it was received."""

import random
import re
import time
from collections.abc import Mapping

import structlog
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..state import RequestContext, set_request_context

HEADER = "x-request-id"

_USABLE = re.compile(r"[A-Za-z0-9._-]{8,64}")


def request_id_of(sent: str) -> str:
    """Return the id for a request: the one the client sent if it is usable, otherwise a new one.

    Args:
        sent: the value of the client's `X-Request-ID` header; empty if there is none.
    """
    if _USABLE.fullmatch(sent):
        return sent
    # The id protects nothing, so a fast generator is enough: with one that asks the operating
    # system, the id would cost most of the CPU of a rejected request.
    return f"{random.getrandbits(128):032x}"


class RequestContextMiddleware:
    """Adds the request's id to its log events, and the id and rate limits to the response."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Create the request's context and pass the request on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        context = RequestContext(
            request_id=request_id_of(Headers(scope=scope).get(HEADER, "")),
            received_at=time.perf_counter(),
        )
        set_request_context(scope, context)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                added = {HEADER: context.request_id, **context.rate_limit_headers}
                message["headers"] = [*message["headers"], *_encoded(added)]
            await send(message)

        tokens = structlog.contextvars.bind_contextvars(request_id=context.request_id)
        try:
            await self.app(scope, receive, send_with_headers)
        finally:
            structlog.contextvars.reset_contextvars(**tokens)


def _encoded(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode(), value.encode()) for name, value in headers.items()]
