"""What callers, libraries and mistakes in settings can put into the log of a running service."""

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from emulators.apideck import ApideckEmulator
from emulators.issuer import DevelopmentIssuer
from emulators.serving import serve
from tests.support.http import bearer
from tests.support.process import environment_for, serving, url

EVIL = "\x1b[2J \x9b2J \u2028 \u2029 \u202e \u2066 \u200f \u061c \x00 \r\n{}"
FORBIDDEN = [char for char in EVIL if not char.isprintable()]
TRACE = "0af7651916cd43dd8448eb211c80319c"


@pytest.fixture
def environment(
    issuer: DevelopmentIssuer, apideck_url: str, apideck: ApideckEmulator, unused_tcp_port: int
) -> dict[str, str]:
    """Return the environment of a service that traces every request."""
    assert apideck.requests == []
    return {
        **environment_for(issuer.issuer, apideck_url, unused_tcp_port),
        "IDENTITY__ISSUERS__MAIN__CLAIMS__CONSUMER_ID": "org_id",
        "TRACING__ENDPOINT": "http://127.0.0.1:1/v1/traces",
        "TRACING__SAMPLE_RATIO": "1",
    }


class Output:
    """What a process wrote; complete once it has ended."""

    text = ""

    def events(self, name: str) -> list[dict[str, Any]]:
        """Return the events of one name."""
        return [
            event for event in map(json.loads, self.text.splitlines()) if event["event"] == name
        ]


@contextmanager
def logging_service(environment: dict[str, str], folder: Path) -> Iterator[Output]:
    """Run the service to its end."""
    output = Output()
    file = folder / "output"
    with file.open("w") as out, serving(environment, into=(out, out)) as process:
        yield output
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=15) == 0
    output.text = file.read_bytes().decode()


@pytest.mark.parametrize("form", ["json", "console"])
def test_no_claim_controls_a_terminal_or_forges_a_line(
    environment: dict[str, str],
    issuer: DevelopmentIssuer,
    apideck: ApideckEmulator,
    tmp_path: Path,
    form: str,
) -> None:
    """Escape sequences, line separators and bidirectional text in signed claims are escaped."""
    environment["LOG__FORMAT"] = form
    token = issuer.token(sub=f"sub{EVIL}", act={"sub": f"act{EVIL}"})
    with logging_service(environment, tmp_path) as output:
        response = httpx.post(url(environment, "/vault-session"), headers=bearer(token))

    assert response.status_code == 201
    assert len(apideck.minted) == 1
    assert [char for char in FORBIDDEN if char in output.text.replace("\n", "")] == []
    assert all(char not in output.text for char in "\r\x1b")
    [audit] = [line for line in output.text.splitlines() if "vault_session_minted" in line]
    if form == "json":
        assert json.loads(audit)["subject"] == f"sub{EVIL}"
        assert json.loads(audit)["actor"] == f"act{EVIL}"


def test_no_trace_header_is_quoted_by_a_library(
    environment: dict[str, str], tmp_path: Path
) -> None:
    """An anonymous caller cannot write into the log through OpenTelemetry's warnings."""
    parent = (b"traceparent", f"00-{TRACE}-b7ad6b7169203331-01".encode())
    with logging_service(environment, tmp_path) as output, httpx.Client() as client:
        endpoint = url(environment, "/vault-session")
        for state in ("foo@=planted", "planted=\x9b[2J", "a=planted,a=planted", "planted" * 100):
            value = state.encode("latin-1")
            client.post(endpoint, headers=[parent, (b"tracestate", value)])
        for trace in ("planted", "0" * 600 + "planted"):
            client.post(endpoint, headers={"traceparent": trace})

    assert len(output.events("http_request")) == 6
    assert "planted" not in output.text
    assert "\x9b" not in output.text


def test_two_traceparent_headers_start_a_new_trace(
    environment: dict[str, str], tmp_path: Path
) -> None:
    """If a request has two parents, neither is used (W3C Trace Context)."""
    parents = [
        ("traceparent", f"00-{TRACE}-b7ad6b7169203331-01"),
        ("traceparent", f"00-{TRACE[::-1]}-b7ad6b7169203331-01"),
    ]
    with logging_service(environment, tmp_path) as output:
        httpx.post(url(environment, "/vault-session"), headers=parents)

    [event] = output.events("http_request")
    assert event["trace_id"] not in {TRACE, TRACE[::-1], "0" * 32}


@pytest.mark.parametrize("with_collector", [True, False], ids=["collector", "no collector"])
def test_a_tracing_header_with_a_line_feed_is_trimmed_and_never_logged(
    environment: dict[str, str], tmp_path: Path, with_collector: bool
) -> None:
    """A library that rejects a header would quote it in its error."""
    received: list[str | None] = []

    async def collect(request: Request) -> Response:
        received.append(request.headers.get("x-honeycomb-team"))
        return Response()

    with serve(Starlette(routes=[Route("/v1/traces", collect, methods=["POST"])])) as collector:
        if with_collector:
            environment["TRACING__ENDPOINT"] = f"{collector}/v1/traces"
        environment["TRACING__HEADERS__X-HONEYCOMB-TEAM"] = "hcaik-Secret42\n"
        with logging_service(environment, tmp_path) as output:
            httpx.post(url(environment, "/vault-session"))

    assert set(received) == ({"hcaik-Secret42"} if with_collector else set())
    assert "hcaik-Secret42" not in output.text
    assert output.events("vault_session_refused")


def test_headers_that_are_not_secrets_are_not_redacted(
    environment: dict[str, str], issuer: DevelopmentIssuer, tmp_path: Path
) -> None:
    """A tenant's number or name occurs in many other texts, so it must not be redacted."""
    environment["TRACING__HEADERS"] = '{"X-Scope-OrgID": "1", "X-Team": "app"}'
    headers = {**bearer(issuer.token(org_id="apple-gmbh")), "x-request-id": "field-11111111"}
    with logging_service(environment, tmp_path) as output:
        httpx.post(url(environment, "/vault-session"), headers=headers)
        httpx.post(url(environment, "/vault-session"), headers={"authorization": "Token x"})

    [minted] = output.events("vault_session_minted")
    assert minted["consumer_id"] == "apple-gmbh"
    assert {event["client"] for event in output.events("http_request")} == {"127.0.0.1"}
    assert output.events("http_request")[0]["request_id"] == "field-11111111"
    [refused] = output.events("vault_session_refused")
    assert refused["reason"] == "the Authorization header is not Bearer"
    assert "[redacted]" not in output.text
