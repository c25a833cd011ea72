"""Answers what nothing else did, inside the other middleware, so that those still apply."""

import asyncio
from collections.abc import Callable

import structlog
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.observability.metrics import Metrics
from app.state import app_state, request_context

logger = structlog.get_logger(__name__)


class UnhandledErrorMiddleware:
    """Turns an exception that nobody expected, and the end of the process, into an answer."""

    def __init__(
        self,
        app: ASGIApp,
        metrics: Metrics,
        unexpected: Callable[[str], Response],
        shutting_down: Callable[[str], Response],
    ) -> None:
        """Take how to answer.

        Args:
            app: the rest of the application.
            metrics: is told of every bug.
            unexpected: makes the answer to a bug, from a request id.
            shutting_down: makes the answer to whom there is no more time for, likewise.
        """
        self.app = app
        self._bugs = metrics.unexpected_errors
        self._unexpected = unexpected
        self._shutting_down = shutting_down

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and answer it where that raises."""
        started = False

        async def send_noting_start(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive, send_noting_start)
        except asyncio.CancelledError:
            # At the end of the grace the server cancels what is left, and whoever waits for it is
            # told so; the task ends with that. Whoever else cancels means it.
            if started or scope["type"] != "http" or not app_state(scope)["shutdown"].begun:
                raise
            await self._shutting_down(request_context(scope).request_id)(scope, receive, send)
        except Exception:
            if started or scope["type"] != "http":
                raise  # Half an answer is out: only closing the connection tells the truth.
            self._bugs.inc()
            logger.exception("unexpected_error")
            await self._unexpected(request_context(scope).request_id)(scope, receive, send)
