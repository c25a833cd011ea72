"""Traces with OpenTelemetry, if the operator has set an endpoint for them.

No span contains an identity, a secret or an exception's message. The provider belongs to the
service. It is not the global one, which other libraries would start to use by themselves.
Source: https://opentelemetry.io/docs/specs/semconv/http/http-spans/.
"""

import asyncio
import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from opentelemetry.context import Context
from opentelemetry.trace import INVALID_SPAN, Span, SpanKind, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from .. import __version__
from ..common.egress import EgressProxy
from ..settings import TracingSettings

if TYPE_CHECKING:
    import requests
    from opentelemetry.sdk.trace import TracerProvider

_W3C = TraceContextTextMapPropagator()
Attributes = Mapping[str, str | int]
_SHUTDOWN_SECONDS: Final = 2.0
_NO_SPAN = nullcontext(INVALID_SPAN)


class Tracing:
    """Creates spans once it is started; before that, and if it is off, a span costs nothing."""

    def __init__(self, settings: TracingSettings, proxy: EgressProxy | None = None) -> None:
        """Create it; `start` opens the exporter, which sends spans through the proxy."""
        self._settings = settings
        self._proxy = proxy
        self._provider: TracerProvider | None = None
        self._tracer: Tracer | None = None

    @property
    def enabled(self) -> bool:
        """Whether the operator wants traces."""
        return self._settings.endpoint is not None

    def start(self) -> None:
        """Start to create spans, and to export them in batches from a thread."""
        if not self.enabled:
            return
        # These imports take long, and are useless without an endpoint.
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
            OTLPSpanExporter,
        )
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
        from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio  # noqa: PLC0415

        # At a lower level it quotes invalid trace headers, so any caller could write into the log.
        logging.getLogger("opentelemetry.trace").setLevel(logging.ERROR)
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
                OTLPSpanExporter(
                    endpoint=settings.endpoint, headers=headers, session=self._http_session()
                )
            )
        )
        self._tracer = self._provider.get_tracer("vault-bff", __version__)

    def _http_session(self) -> "requests.Session":
        import requests  # noqa: PLC0415

        session = requests.Session()
        # Otherwise it uses the proxies and passwords of the environment.
        session.trust_env = False
        host = urlsplit(self._settings.endpoint or "").hostname or ""
        if self._proxy is not None and self._proxy.is_for(host):
            url = self._proxy.url_with_credentials
            session.proxies = {"http": url, "https": url}
        return session

    async def aclose(self) -> None:
        """Export the remaining spans, within two seconds, and create no more."""
        if self._provider is not None:
            # Without a limit, it takes up to 30 seconds if the collector does not respond.
            ending = threading.Thread(
                target=self._provider.shutdown, name="tracing-shutdown", daemon=True
            )
            ending.start()
            await asyncio.to_thread(ending.join, _SHUTDOWN_SECONDS)
            self._provider = self._tracer = None

    def span(
        self,
        name: str,
        attributes: Attributes | None = None,
        *,
        kind: SpanKind = SpanKind.INTERNAL,
        parent: Context | None = None,
    ) -> AbstractContextManager[Span]:
        """Create a span around a piece of work. If an error ends it, the span has its class.

        Args:
            name: the kind of work; one of few names, because spans are grouped by name.
            attributes: further facts, named by OpenTelemetry's conventions.
            kind: whether the work is on the server's or the client's side of a call.
            parent: the context that the span belongs to; by default the current one.
        """
        if self._tracer is None:
            return _NO_SPAN
        return _recording_errors(
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
        """Return the trace headers for Apideck; none unless the operator has enabled them."""
        headers: dict[str, str] = {}
        if self._tracer is not None and self._settings.tell_apideck:
            _W3C.inject(headers)
        return headers


def parent_context(traceparents: Sequence[str], tracestates: Sequence[str]) -> Context:
    """Return the context of the caller's span; an empty one begins a new trace.

    Args:
        traceparents: the values of all `traceparent` headers. More than one is invalid.
        tracestates: the values of all `tracestate` headers, in their order. They are one list.
    """
    if len(traceparents) != 1:
        return Context()
    return _W3C.extract({"traceparent": traceparents, "tracestate": tracestates}, Context())


@contextmanager
def _recording_errors(around: AbstractContextManager[Span]) -> Iterator[Span]:
    with around as span:
        try:
            yield span
        except BaseException as error:
            span.set_attribute("error.type", type(error).__name__)
            span.set_status(StatusCode.ERROR)
            raise
