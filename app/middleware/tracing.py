"""Creates the span of each request, in the caller's trace if there is one."""

from http import HTTPStatus

import structlog
from opentelemetry.trace import SpanKind, StatusCode, format_trace_id
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..observability.tracing import Tracing, parent_context
from .access_log import known_method, route_of


class TracingMiddleware:
    """Adds a span for each request, and the trace's id to its log lines."""

    def __init__(self, app: ASGIApp, tracing: Tracing) -> None:
        self.app = app
        self._tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Process a request within its span."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        method = known_method(scope)
        headers = Headers(scope=scope)
        parent = parent_context(headers.getlist("traceparent"), headers.getlist("tracestate"))
        attributes = {"http.request.method": method, "url.scheme": scope["scheme"]}
        with self._tracing.span(method, attributes, kind=SpanKind.SERVER, parent=parent) as span:

            async def send_and_record_status(message: Message) -> None:
                if message["type"] == "http.response.start":
                    span.set_attribute("http.response.status_code", message["status"])
                    if message["status"] >= HTTPStatus.INTERNAL_SERVER_ERROR:
                        span.set_status(StatusCode.ERROR)
                await send(message)

            trace_id = format_trace_id(span.get_span_context().trace_id)
            with structlog.contextvars.bound_contextvars(trace_id=trace_id):
                await self.app(scope, receive, send_and_record_status)
            # Routing has happened only now. This is the declared route, never the path as sent.
            route = route_of(scope)
            span.update_name(f"{method} {route}")
            span.set_attribute("http.route", route)
