"""Records every request, including those that end before a response: log, metrics, audit event."""

import time
from typing import Final

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..observability.audit import AuditRecord, RejectionSummary
from ..observability.metrics import Metrics
from ..observability.webhook_audit import DeliveryRecord
from ..state import CLIENT_CLOSED_REQUEST, request_context

logger = structlog.get_logger("access")

UNKNOWN_ROUTE: Final = "none"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_PROBES = frozenset({"/livez", "/readyz", "/metrics"})


class AccessLogMiddleware:
    """Records method, route, status and duration; never the path as it was sent, or a query."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self._metrics = metrics
        self._rejections = RejectionSummary()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and record how it ended."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            if scope["type"] == "lifespan":
                self._rejections.write()
            return
        status = CLIENT_CLOSED_REQUEST

        async def send_and_keep_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        self._metrics.in_flight.inc()
        try:
            await self.app(scope, receive, send_and_keep_status)
        finally:
            self._metrics.in_flight.dec()
            self._record(scope, status)

    def _record(self, scope: Scope, status: int) -> None:
        context = request_context(scope)
        if context.audit is not None:
            self._write_audit_event(context.audit, status, admitted=context.admitted)
        if context.delivery is not None:
            self._write_delivery(context.delivery, status)
        seconds = time.perf_counter() - context.received_at
        route = route_of(scope)
        self._metrics.requests.labels(known_method(scope), route, status).inc()
        self._metrics.request_seconds.labels(route).observe(seconds)
        if not context.admitted:
            return
        log = logger.debug if route in _PROBES else logger.info
        log(
            "http_request",
            method=scope["method"],
            route=None if route == UNKNOWN_ROUTE else route,
            status=status,
            client=scope["client"][0] if scope.get("client") else None,
            duration_ms=round(seconds * 1000, 2),
        )

    def _write_audit_event(self, record: AuditRecord, status: int, *, admitted: bool) -> None:
        outcome = record.outcome(status)
        if admitted:
            record.write(outcome)
        else:
            self._rejections.add(outcome, record)
        kind, problem = record.caller_kind or "unknown", record.problem or "none"
        is_session = record.resource == "sessions"
        counter = self._metrics.sessions if is_session else self._metrics.connection_reads
        counter.labels(outcome, kind, problem).inc()

    def _write_delivery(self, record: DeliveryRecord, status: int) -> None:
        outcome = record.outcome(status)
        record.write(outcome)
        application, problem = record.unify_app or "none", record.problem or "none"
        self._metrics.webhook_events.labels(application, outcome, problem).inc()


def route_of(scope: Scope) -> str:
    """Return the route of a request as it is declared, once the request has been routed."""
    route: str = getattr(scope.get("route"), "path", UNKNOWN_ROUTE)
    return route


def known_method(scope: Scope) -> str:
    """Return the request's method; `other` for those that a client can make up."""
    return scope["method"] if scope["method"] in _METHODS else "other"
