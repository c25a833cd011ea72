"""Keeps responses out of caches and frames, and their URLs out of referrers."""

from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS: Final = {
    # A session token in a shared cache would be served to other people.
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
}
_RAW = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
_NAMES = frozenset(name for name, _ in _RAW)


class SecurityHeadersMiddleware:
    """Sets the headers on every response, replacing any that the application has set."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and add to the response."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                others = [one for one in message["headers"] if one[0] not in _NAMES]
                message["headers"] = [*others, *_RAW]
            await send(message)

        await self.app(scope, receive, send_with_headers)
