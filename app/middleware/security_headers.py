"""Puts on every answer the headers that keep it out of caches, sniffers and referrers."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = {
    # A session token in a shared cache would be somebody else's session.
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
}
_RAW = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
_NAMES = frozenset(name for name, _ in _RAW)


class SecurityHeadersMiddleware:
    """Sets the headers on every answer, whoever made it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and add to the answer."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                others = [one for one in message["headers"] if one[0] not in _NAMES]
                message["headers"] = [*others, *_RAW]
            await send(message)

        await self.app(scope, receive, send_with_headers)
