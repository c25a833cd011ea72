"""Apideck's `Request-Id`, a header of each of its responses."""

import uuid

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class RequestIdMiddleware:
    """Adds a unique id to each response."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the app, and add the header to its response."""

        async def with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [
                    *message["headers"],
                    (b"request-id", uuid.uuid4().hex.encode()),
                ]
            await send(message)

        await self._app(scope, receive, with_id)
