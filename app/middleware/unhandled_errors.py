"""Responds to exceptions that nothing else handled.

FastAPI would respond to them outside all other middleware, so without a request id, CORS headers
and security headers.
"""

import asyncio
from collections.abc import Callable

import structlog
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..errors import ShuttingDownError
from ..observability.metrics import Metrics
from ..state import app_state

logger = structlog.get_logger(__name__)

_RETRY_AFTER_SECONDS = 1


class UnhandledErrorMiddleware:
    """Turns bugs into a 500, and requests that the shutdown cuts off into a 503."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        metrics: Metrics,
        respond: Callable[[Exception, Scope], Response],
    ) -> None:
        self.app = app
        self._bugs = metrics.unexpected_errors
        self._respond = respond

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and respond if that raises."""
        started = False

        async def send_and_note_start(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive, send_and_note_start)
        except asyncio.CancelledError:
            # When the grace period ends, the server cancels the requests that are left. They end
            # with this response. Any other cancellation goes on.
            if started or scope["type"] != "http" or not app_state(scope)["shutdown"].begun:
                raise
            await self._respond(_shutting_down(), scope)(scope, receive, send)
        except Exception as error:
            if started or scope["type"] != "http":
                raise  # Part of a response has been sent; closing the connection reports the error.
            self._bugs.inc()
            logger.exception("unexpected_error")
            await self._respond(error, scope)(scope, receive, send)


def _shutting_down() -> ShuttingDownError:
    return ShuttingDownError(
        "The service is restarting. Please try again in a moment.",
        reason="not finished within SERVER__SHUTDOWN_GRACE_SECONDS of the shutdown",
        retry_after=_RETRY_AFTER_SECONDS,
    )
