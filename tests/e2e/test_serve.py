"""The process `python -m app`, as an operator runs it."""

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.__main__ import MISCONFIGURED
from emulators.apideck import ApideckEmulator
from emulators.apideck.emulator import API_KEY
from emulators.apideck.faults import Broken, Slow
from emulators.issuer import DevelopmentIssuer
from emulators.serving import serve
from tests.support import raw
from tests.support.http import bearer
from tests.support.measured import sessions_requested
from tests.support.process import environment_for, serving, start, until, url


@pytest.fixture
def environment(
    issuer: DevelopmentIssuer, apideck_url: str, apideck: ApideckEmulator, unused_tcp_port: int
) -> dict[str, str]:
    """Return the environment of a service that uses the issuer and the Apideck emulator."""
    assert apideck.requests == []
    return environment_for(issuer.issuer, apideck_url, unused_tcp_port)


@pytest.fixture
def server(environment: dict[str, str]) -> Iterator["subprocess.Popen[str]"]:
    """Run the service."""
    with serving(environment) as process:
        yield process


def test_requests_in_flight_finish_after_sigterm(
    environment: dict[str, str],
    server: "subprocess.Popen[str]",
    issuer: DevelopmentIssuer,
    apideck: ApideckEmulator,
) -> None:
    """The process finishes the requests in flight, and exits with status 0."""
    apideck.fail(Slow(1))
    with ThreadPoolExecutor() as pool:
        pending = pool.submit(
            httpx.post,
            url(environment, "/vault-session"),
            headers=bearer(issuer.token()),
            timeout=10,
        )
        while not apideck.requests:
            time.sleep(0.01)
        server.send_signal(signal.SIGTERM)
        response = pending.result()

    out, err = server.communicate(timeout=15)
    assert response.status_code == 201
    assert server.returncode == 0
    assert err == ""
    events = [json.loads(line) for line in out.splitlines()]
    assert "vault_session_minted" in {event["event"] for event in events}
    assert API_KEY not in out
    assert response.json()["session_token"] not in out


def test_readiness_fails_before_the_process_exits(
    environment: dict[str, str], issuer: DevelopmentIssuer
) -> None:
    """During the delay after SIGTERM the process serves requests, but /readyz fails."""
    environment["SERVER__SHUTDOWN_DELAY_SECONDS"] = "2"
    with serving(environment) as server:
        server.send_signal(signal.SIGTERM)
        while (ready := httpx.get(url(environment, "/readyz"))).status_code == 200:
            time.sleep(0.01)
        response = httpx.post(url(environment, "/vault-session"), headers=bearer(issuer.token()))
        server.communicate(timeout=15)

    assert ready.json()["shutting_down"] is True
    assert response.status_code == 201
    assert server.returncode == 0


def test_a_client_disconnect_cancels_the_request_to_apideck(
    environment: dict[str, str],
    server: "subprocess.Popen[str]",
    issuer: DevelopmentIssuer,
    apideck: ApideckEmulator,
) -> None:
    """The log and the metrics report the request as abandoned."""
    apideck.fail(Broken("hang"), times=None)
    with raw.connect(int(environment["SERVER__PORT"])) as client:
        client.sendall(raw.request("POST", "/vault-session", issuer.token()))
        until(lambda: len(apideck.requests) == 1)
    until(lambda: apideck.disconnects == 1)
    samples = (
        f"apideck_{sessions_requested('Abandoned')} 1.0",
        'http_requests_total{method="POST",route="/vault-session",status="499"} 1.0',
        'sessions_total{caller_kind="user",outcome="abandoned",problem="none"} 1.0',
        "http_requests_in_flight 1.0",
    )
    metrics = url(environment, "/metrics")
    until(lambda: all(f"\nvault_bff_{one}\n" in httpx.get(metrics).text for one in samples))
    server.send_signal(signal.SIGTERM)
    out, err = server.communicate(timeout=15)

    assert len(apideck.requests) == 1
    events = {event["event"]: event for event in map(json.loads, out.splitlines())}
    assert events["vault_session_abandoned"]["subject"] == "ada"
    assert events["vault_session_abandoned"]["problem"] is None
    assert events["http_request"]["status"] == 499
    assert err == ""


def test_spans_reach_the_collector_before_the_process_exits(
    environment: dict[str, str], issuer: DevelopmentIssuer, apideck: ApideckEmulator
) -> None:
    """Spans are sent as OTLP over HTTP with the operator's header, which is not in the log."""
    received: list[tuple[str | None, bytes]] = []

    async def collect(request: Request) -> Response:
        received.append((request.headers.get("x-vendor-key"), await request.body()))
        return Response()

    with serve(Starlette(routes=[Route("/v1/traces", collect, methods=["POST"])])) as collector:
        environment["TRACING__ENDPOINT"] = f"{collector}/v1/traces"
        environment["TRACING__HEADERS"] = '{"x-vendor-key": "vendor-secret"}'
        environment["TRACING__SAMPLE_RATIO"] = "1"
        with serving(environment) as server:
            httpx.post(url(environment, "/vault-session"), headers=bearer(issuer.token()))
            server.send_signal(signal.SIGTERM)
            out, err = server.communicate(timeout=15)

    assert len(apideck.minted) == 1
    [(key, body)] = received
    [of_service] = ExportTraceServiceRequest.FromString(body).resource_spans
    names = [span.name for scope in of_service.scope_spans for span in scope.spans]
    assert key == "vendor-secret"
    assert {"verify credential", "plan session", "POST", "POST /vault-session"} <= set(names)
    assert err == ""
    assert "vendor-secret" not in out


def test_sigint_stops_the_process_cleanly(server: "subprocess.Popen[str]") -> None:
    """Ctrl-C at a terminal stops the process with status 0."""
    server.send_signal(signal.SIGINT)

    _, err = server.communicate(timeout=15)

    assert server.returncode == 0
    assert err == ""


def test_invalid_settings_prevent_startup(environment: dict[str, str]) -> None:
    """Each invalid setting is a line on stderr, without its value."""
    for command in ("serve", "check"):
        process = start(command, {**environment, "APIDECK__API_KEY": "a b", "SERVER__PORT": "x"})
        out, err = process.communicate(timeout=20)

        assert process.returncode == MISCONFIGURED
        assert out == ""
        assert [line.partition(":")[0] for line in err.splitlines()] == [
            "APIDECK__API_KEY",
            "SERVER__PORT",
        ]


@pytest.mark.parametrize("content", [None, "", "two words", "ä" * 20])
def test_a_key_file_without_a_key_prevents_startup(
    environment: dict[str, str], tmp_path: Path, content: str | None
) -> None:
    """The error names the setting of the file, and does not contain the file's content."""
    file = tmp_path / "key"
    if content is not None:
        file.write_text(content)
    del environment["APIDECK__API_KEY"]

    process = start("check", {**environment, "APIDECK__API_KEY_FILE": str(file)})
    _, err = process.communicate(timeout=20)

    assert process.returncode == MISCONFIGURED
    assert err.startswith("APIDECK__API_KEY_FILE: ")
    assert not content or content not in err


def test_valid_settings_pass_the_check(environment: dict[str, str]) -> None:
    """The status is 0, and each setting has a line with its source and without its value."""
    process = start("check", {**environment, "SERVER_HOST": "0.0.0.0"})  # noqa: S104 - ignored
    out, err = process.communicate(timeout=20)

    assert process.returncode == 0
    assert err == ""
    assert {
        "ok   APIDECK__API_KEY: from environment",
        "ok   IDENTITY__ISSUERS__MAIN__AUDIENCE: from environment",
        "note SERVER_HOST: is not a setting; did you mean SERVER__HOST?",
    } <= set(out.splitlines())
    assert API_KEY not in out
