"""Traces, by OpenTelemetry, where an operator has set an endpoint for them; else nothing at all.

No span holds an identity, a secret or an exception's message. The provider is the service's own and
not the process's global one, which other libraries would begin to use by themselves.
Source: https://opentelemetry.io/docs/specs/semconv/http/http-spans/.
"""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING

from opentelemetry.context import Context
from opentelemetry.trace import INVALID_SPAN, Span, SpanKind, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from app import __version__
from app.settings import TracingSettings

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter

_W3C = TraceContextTextMapPropagator()
Attributes = Mapping[str, str | int]
_NO_SPAN = nullcontext(INVALID_SPAN)


class Tracing:
    """Makes spans once it is started; until then, and where it is off, making one costs nothing."""

    def __init__(self, settings: TracingSettings) -> None:
        """Take the settings; nothing is opened yet."""
        self._settings = settings
        self._provider: TracerProvider | None = None
        self._tracer: Tracer | None = None

    @property
    def enabled(self) -> bool:
        """Whether the operator wants traces."""
        return self._settings.endpoint is not None

    def start(self, exporter: "SpanExporter | None" = None) -> None:
        """Begin to make spans, and to send them in batches from a thread.

        Args:
            exporter: where to send them instead of to the endpoint.
        """
        if not self.enabled:
            return
        # Here, because whoever has no traces should not wait for the imports.
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
            OTLPSpanExporter,
        )
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
        from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio  # noqa: PLC0415

        settings = self._settings
        resource = {"service.name": settings.service_name, "service.version": __version__}
        headers = {name: value.get_secret_value() for name, value in settings.headers.items()}
        self._provider = TracerProvider(
            sampler=ParentBasedTraceIdRatio(settings.sample_ratio),
            resource=Resource.create(resource),
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(
            BatchSpanProcessor(
                exporter or OTLPSpanExporter(endpoint=settings.endpoint, headers=headers)
            )
        )
        self._tracer = self._provider.get_tracer("vault-bff", __version__)

    async def aclose(self) -> None:
        """Send what was not sent yet, and make no spans any more."""
        if self._provider is not None:
            await asyncio.to_thread(self._provider.shutdown)
            self._provider = self._tracer = None

    def span(
        self,
        name: str,
        attributes: Attributes | None = None,
        *,
        kind: SpanKind = SpanKind.INTERNAL,
        parent: Context | None = None,
    ) -> AbstractContextManager[Span]:
        """Make a span around a piece of work; an error that ends it is noted by its class.

        Args:
            name: what is done; one of few names, as they are what spans are grouped by.
            attributes: what more is known of it, by OpenTelemetry's names.
            kind: on which side of a call the work is.
            parent: the context that it belongs to; the one around it where this is not given.
        """
        if self._tracer is None:
            return _NO_SPAN
        return _noting_errors(
            self._tracer.start_as_current_span(
                name,
                context=parent,
                kind=kind,
                attributes=attributes,
                record_exception=False,
                set_status_on_exception=False,
            )
        )

    def headers_to_apideck(self) -> dict[str, str]:
        """Return what tells Apideck of the trace; nothing unless the operator asks for it."""
        headers: dict[str, str] = {}
        if self._tracer is not None and self._settings.tell_apideck:
            _W3C.inject(headers)
        return headers


@contextmanager
def _noting_errors(around: AbstractContextManager[Span]) -> Iterator[Span]:
    with around as span:
        try:
            yield span
        except BaseException as error:
            span.set_attribute("error.type", type(error).__name__)
            span.set_status(StatusCode.ERROR)
            raise
