"""Answers what nothing else caught, inside the other middleware, so that those still apply."""

from collections.abc import Callable

import structlog
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

logger = structlog.get_logger(__name__)


class LastResortMiddleware:
    """Turns an exception that nobody expected into an answer, and logs where it came from."""

    def __init__(self, app: ASGIApp, answer: Callable[[str], Response]) -> None:
        self.app = app
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and answer it where that raises."""
        started = False

        async def send_noting_start(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive, send_noting_start)
        except Exception:
            if started or scope["type"] != "http":
                raise  # Half an answer is out: only closing the connection tells the truth.
            logger.exception("unexpected_error")
            await self._answer(scope["state"]["request_id"])(scope, receive, send)
