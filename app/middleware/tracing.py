"""Makes the span of each request, within the trace that its caller says it belongs to."""

import structlog
from opentelemetry.trace import SpanKind, StatusCode, format_trace_id
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.middleware.access_log import known_method, route_of
from app.observability.tracing import Tracing, context_of

_SERVER_ERROR = 500


class TracingMiddleware:
    """Puts the trace's id into the log lines, so that one leads to the other."""

    def __init__(self, app: ASGIApp, tracing: Tracing) -> None:
        self.app = app
        self._tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on within its span."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        method = known_method(scope)
        parent = context_of(Headers(scope=scope))
        attributes = {"http.request.method": method, "url.scheme": scope["scheme"]}
        with self._tracing.span(method, attributes, kind=SpanKind.SERVER, parent=parent) as span:

            async def send_noting_status(message: Message) -> None:
                if message["type"] == "http.response.start":
                    span.set_attribute("http.response.status_code", message["status"])
                    if message["status"] >= _SERVER_ERROR:
                        span.set_status(StatusCode.ERROR)
                await send(message)

            trace_id = format_trace_id(span.get_span_context().trace_id)
            with structlog.contextvars.bound_contextvars(trace_id=trace_id):
                await self.app(scope, receive, send_noting_status)
            # Known only now. The route as it is declared, never the path as it was sent.
            route = route_of(scope)
            span.update_name(f"{method} {route}")
            span.set_attribute("http.route", route)
