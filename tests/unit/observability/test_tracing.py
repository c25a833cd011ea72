import asyncio
import json
import socket
import threading
from typing import Any

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from app.observability.tracing import Tracing
from app.settings import Settings, TracingSettings
from emulators.apideck import ApideckEmulator, faults
from emulators.issuer import DevelopmentIssuer
from tests.support.http import bearer
from tests.support.service import running, settings_for

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    """Return an exporter that keeps spans in memory."""
    exporter = InMemorySpanExporter()
    monkeypatch.setattr(
        "opentelemetry.exporter.otlp.proto.http.trace_exporter.OTLPSpanExporter",
        lambda **_: exporter,
    )
    monkeypatch.setattr(exporter, "shutdown", lambda: None)
    return exporter


@pytest.fixture
def tracing() -> dict[str, Any]:
    """Return settings that sample every trace."""
    return {"endpoint": "http://127.0.0.1:4318/v1/traces", "sample_ratio": 1}


@pytest.fixture
def settings(issuer: DevelopmentIssuer, apideck_url: str, tracing: dict[str, Any]) -> Settings:
    """Return settings of a service that creates spans."""
    return settings_for(issuer.issuer, apideck_url, tracing=tracing)


async def test_a_request_is_a_tree_of_spans(
    settings: Settings,
    issuer: DevelopmentIssuer,
    apideck: ApideckEmulator,
    spans: InMemorySpanExporter,
) -> None:
    """Verification, policy and the call to Apideck are child spans, in the caller's trace."""
    async with running(settings) as service:
        await service.post("/vault-session", headers={**bearer(issuer.token()), **PARENT})

    finished = {span.name: span for span in spans.get_finished_spans()}
    assert list(finished) == ["verify credential", "plan session", "POST", "POST /vault-session"]
    request = finished.pop("POST /vault-session")
    assert request.kind is SpanKind.SERVER
    assert request.parent is not None
    assert f"{request.parent.span_id:016x}" == "b7ad6b7169203331"
    assert {f"{span.context.trace_id:032x}" for span in [request, *finished.values()]} == {TRACE}
    assert {span.parent and span.parent.span_id for span in finished.values()} == {
        request.context.span_id
    }
    assert request.attributes == {
        "http.request.method": "POST",
        "url.scheme": "http",
        "http.route": "/vault-session",
        "http.response.status_code": 201,
    }
    assert finished["POST"].kind is SpanKind.CLIENT
    assert finished["POST"].attributes == {
        "http.request.method": "POST",
        "server.address": "127.0.0.1",
        "url.template": "/vault/sessions",
        "http.response.status_code": 200,
    }
    assert apideck.requests[0].header("traceparent") is None


@pytest.mark.parametrize("tracing", [{"endpoint": "http://127.0.0.1:1/", "tell_apideck": True}])
async def test_apideck_gets_the_trace_if_the_operator_enables_it(
    settings: Settings,
    issuer: DevelopmentIssuer,
    apideck: ApideckEmulator,
    spans: InMemorySpanExporter,
) -> None:
    """The header of the request to Apideck contains the trace and the span of this request."""
    async with running(settings) as service:
        await service.post("/vault-session", headers={**bearer(issuer.token()), **PARENT})

    [request] = [span for span in spans.get_finished_spans() if span.kind is SpanKind.CLIENT]
    assert apideck.requests[0].header("traceparent") == (
        f"00-{TRACE}-{request.context.span_id:016x}-01"
    )


async def test_a_failure_is_an_error_without_its_message(
    settings: Settings,
    issuer: DevelopmentIssuer,
    apideck: ApideckEmulator,
    spans: InMemorySpanExporter,
) -> None:
    """Each attempt has a span, an error has its class, and no span has a name or a token."""
    apideck.fail(faults.error(503), times=1)
    token = issuer.token("otto", name="Otto Extraordinary")
    async with running(settings) as service:
        await service.post("/vault-session?who=otto", headers=bearer(token))
        await service.post("/vault-session", headers=bearer("not-a-token"))
        await service.get("/otto")

    finished = spans.get_finished_spans()
    first, second = [span for span in finished if span.kind is SpanKind.CLIENT]
    assert (first.status.status_code, second.status.status_code) == (
        StatusCode.ERROR,
        StatusCode.UNSET,
    )
    assert first.attributes is not None
    assert first.attributes["error.type"] == "ApideckUnavailableError"
    text = json.dumps([json.loads(span.to_json()) for span in finished])
    for personal in ("otto", "Otto", token, "not-a-token", "acme"):
        assert personal not in text


async def test_log_lines_contain_the_trace_id(
    settings: Settings, issuer: DevelopmentIssuer, spans: InMemorySpanExporter
) -> None:
    """An operator can find the trace of a log line."""
    with capture_logs(processors=[merge_contextvars]) as logs:
        async with running(settings) as service:
            await service.post("/vault-session", headers={**bearer(issuer.token()), **PARENT})

    assert spans.get_finished_spans()
    minted = next(line for line in logs if line["event"] == "vault_session_minted")
    assert minted["trace_id"] == TRACE


@pytest.mark.parametrize(("ratio", "kept"), [(0, 0), (1, 20)])
async def test_the_configured_share_of_traces_is_sampled(
    issuer: DevelopmentIssuer,
    apideck_url: str,
    spans: InMemorySpanExporter,
    ratio: float,
    kept: int,
) -> None:
    """Other traces are not exported."""
    tracing = {"endpoint": "http://127.0.0.1:1/", "sample_ratio": ratio}
    async with running(settings_for(issuer.issuer, apideck_url, tracing=tracing)) as service:
        for _ in range(20):
            await service.get("/livez")

    assert len(spans.get_finished_spans()) == kept


async def test_without_an_endpoint_there_are_no_spans() -> None:
    """No span is created, and Apideck gets no trace headers."""
    tracing = Tracing(TracingSettings())
    tracing.start()

    with tracing.span("anything") as span:
        assert not span.get_span_context().is_valid
    await tracing.aclose()

    assert tracing.headers_to_apideck() == {}


async def test_shutdown_does_not_wait_for_an_unresponsive_collector(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The exporter continues in a daemon thread, which does not delay the end of the process."""
    monkeypatch.setattr("app.observability.tracing._SHUTDOWN_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as collector:
        endpoint = f"http://127.0.0.1:{collector.getsockname()[1]}/v1/traces"
        tracing = Tracing(TracingSettings(endpoint=endpoint, sample_ratio=1))
        tracing.start()
        with tracing.span("anything"):
            pass
        await tracing.aclose()
        [shutdown] = [one for one in threading.enumerate() if one.name == "tracing-shutdown"]
        assert shutdown.daemon
        await asyncio.to_thread(_respond, collector, shutdown)

    assert not shutdown.is_alive()


def _respond(collector: socket.socket, shutdown: threading.Thread) -> None:
    collector.settimeout(20)
    connection, _ = collector.accept()
    with connection:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        shutdown.join(20)
