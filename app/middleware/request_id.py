"""Gives every request an id: the caller's own where it can be trusted to be one, else a new one."""

import random
import re

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADER = "x-request-id"

_USABLE = re.compile(r"[A-Za-z0-9._-]{8,64}")


def request_id_of(sent: str) -> str:
    """Return the id of a request that was sent with this one, or with none (empty)."""
    if _USABLE.fullmatch(sent):
        return sent
    # It tells requests apart and guards nothing; asking the system each time would cost more CPU
    # than all the rest of a refusal.
    return f"{random.getrandbits(128):032x}"


class RequestIdMiddleware:
    """Puts `request_id` into the request's state, its log lines, and the answer's headers."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with its id."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = request_id_of(Headers(scope=scope).get(HEADER, ""))
        scope.setdefault("state", {})["request_id"] = request_id

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[HEADER] = request_id
            await send(message)

        before = structlog.contextvars.bind_contextvars(request_id=request_id)
        try:
            await self.app(scope, receive, send_with_id)
        finally:
            structlog.contextvars.reset_contextvars(**before)
