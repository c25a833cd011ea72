"""Counts and times every request, by route and status."""

import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.middleware.access_log import ABANDONED
from app.observability.metrics import Metrics
from app.state import request_context

UNKNOWN_ROUTE = "none"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class HttpMetricsMiddleware:
    """Keeps the RED metrics: rate, errors, duration."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and count how it was answered."""
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

        self._metrics.in_flight.inc()
        try:
            await self.app(scope, receive, send_noting_status)
        finally:
            self._metrics.in_flight.dec()
            # The route as it is declared, never the path as it was sent.
            route = getattr(scope.get("route"), "path", UNKNOWN_ROUTE)
            self._metrics.requests.labels(known_method(scope), route, status).inc()
            self._metrics.request_seconds.labels(route).observe(time.perf_counter() - started)


def known_method(scope: Scope) -> str:
    """Return the request's method, or `other` for what a caller can make up."""
    return scope["method"] if scope["method"] in _METHODS else "other"
