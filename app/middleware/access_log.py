"""Writes one event for every request, those that were cut off before an answer included."""

import time

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.state import request_context

logger = structlog.get_logger("access")

ABANDONED = 499
"""What is logged as the status of a request that was cut off before its answer."""

_PROBES = frozenset({"/livez", "/readyz", "/metrics"})


class AccessLogMiddleware:
    """Logs method, route, status and duration; never the path as sent, or a query."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and log how it was answered."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = request_context(scope).received_at
        status = ABANDONED

        async def send_noting_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, send_noting_status)
        finally:
            route = getattr(scope.get("route"), "path", None)
            log = logger.debug if route in _PROBES else logger.info
            log(
                "http_request",
                method=scope["method"],
                route=route,
                status=status,
                client=scope["client"][0] if scope.get("client") else None,
                duration_ms=round((time.perf_counter() - started) * 1000, 2),
            )
