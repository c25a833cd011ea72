"""`make demo`, as a new user runs it."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.demo_stack import DemoStack, demo_stack
from tests.support.http import bearer, problem
from tests.support.ports import free_ports, is_free
from tests.support.process import until
from tests.support.waiting import http_client

ROOT = Path(__file__).parent.parent.parent
RUN = [sys.executable, str(ROOT / "deploy" / "local" / "run.py")]
PORTS = 4
OWN_PAGE, LOGO = "http://localhost:5173", "https://example.com/logo.svg"


@pytest.fixture
def base() -> int:
    """Return the first of four consecutive free ports."""
    return free_ports(PORTS)


@pytest.fixture
def demo(base: int) -> Iterator[subprocess.Popen[str]]:
    """Start the demo; stop it at the end unless the test has stopped it."""
    process = subprocess.Popen(
        RUN,
        cwd=ROOT,
        env={**os.environ, "DEMO_PORT_BASE": str(base)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    yield process
    if process.poll() is None:
        process.terminate()
    process.communicate(timeout=20)


def until_ready(process: subprocess.Popen[str]) -> str:
    """Return the output of the demo until it is ready."""
    assert process.stdout is not None
    printed = ""
    for line in process.stdout:
        printed += line
        if "Press Ctrl-C" in line:
            break
    return printed


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_printed_command_returns_a_link_to_the_vault(
    demo: subprocess.Popen[str], base: int, number: signal.Signals
) -> None:
    """The link opens the user's Vault, and a signal stops all processes."""
    printed = until_ready(demo)
    [line] = re.findall(r"curl -s -X POST.*?\n.*?\n", printed, re.DOTALL)

    ended = subprocess.run(
        ["/bin/sh", "-c", line], check=True, capture_output=True, text=True, timeout=20
    )

    link = httpx.Response(201, text=ended.stdout).json()["redirect_url"]
    page = httpx.get(link).text
    for shown in ("Ada Byron", "Acme Inc.", "ada@acme.example"):
        assert shown in page
    demo.send_signal(number)
    rest, _ = demo.communicate(timeout=20)
    assert demo.returncode == 0
    assert "Traceback" not in printed + rest
    assert all(is_free(base + i) for i in range(PORTS))


def test_a_port_in_use_is_reported(base: int) -> None:
    """The message names the port and the variable that selects other ports."""
    with socket.create_server(("127.0.0.1", base + 2)):
        ended = subprocess.run(
            RUN,
            cwd=ROOT,
            env={**os.environ, "DEMO_PORT_BASE": str(base)},
            check=False,
            capture_output=True,
            text=True,
            timeout=30,
        )

    assert ended.returncode == 1
    assert f"Port {base + 2} is in use" in ended.stderr
    assert "DEMO_PORT_BASE" in ended.stderr
    assert all(is_free(base + i) for i in range(PORTS))


@pytest.fixture(scope="module")
def stack() -> Iterator[DemoStack]:
    """Run the demo with settings of a developer."""
    settings = {
        "DEMO_ORIGIN": OWN_PAGE,
        "CONFIG_FILE": "/etc/other.toml",
        "SESSION__DEFAULTS__THEME__LOGO": LOGO,
    }
    with demo_stack(**settings) as running:
        yield running


def test_a_developers_own_page_uses_the_demo(stack: DemoStack) -> None:
    """CORS allows its origin, `return_to` leads back to it, and its settings are used."""
    token = httpx.get(f"{stack.issuer}/token/ada").text
    headers = {**bearer(token), "origin": OWN_PAGE}

    response = httpx.post(
        f"{stack.service}/vault-session", json={"return_to": "app"}, headers=headers
    )

    assert response.status_code == 201
    assert response.headers["access-control-allow-origin"] == OWN_PAGE
    session = stack.minted()[-1]["session"]
    assert session["redirect_uri"] == f"{OWN_PAGE}/"
    assert session["theme"]["logo"] == LOGO
    assert f"{OWN_PAGE} may call the service" in stack.printed
    assert "used instead of the demo's: SESSION__DEFAULTS__THEME__LOGO" in stack.printed
    assert "needs its own values of: CONFIG_FILE" in stack.printed


def test_the_service_log_is_printed_and_shown(stack: DemoStack) -> None:
    """The terminal gets readable lines, and the demo's server has the events of a request."""
    assert re.search(r"\[info +\] jwks_changed +issuer=demo", stack.printed)
    rejected = httpx.post(f"{stack.service}/vault-session")
    url = f"{stack.demo}/activity/{rejected.headers['x-request-id']}"

    until(lambda: len(httpx.get(url).json()["log"]) == 2)
    audit, access = httpx.get(url).json()["log"]
    assert (audit["event"], access["event"]) == ("vault_session_refused", "http_request")
    assert any('outcome="refused"' in line for line in httpx.get(url).json()["metrics"])


def test_a_changed_connection_reaches_open_pages_within_two_seconds(stack: DemoStack) -> None:
    """Apideck's event passes through the service to the demo, which notifies the page."""
    with http_client() as client:
        token = client.get(f"{stack.issuer}/token/ada").text
        created = client.post(f"{stack.service}/vault-session", headers=bearer(token)).json()
        with client.stream("GET", f"{stack.demo}/changes", timeout=10) as stream:
            lines = stream.iter_lines()
            assert next(lines) == "retry: 1000"
            form = {"unified_api": "crm", "service_id": "hubspot", "action": "connect"}
            started = time.monotonic()
            client.post(f"{stack.apideck}/connect", data={"jwt": created["session_token"], **form})

            assert "data: changed" in lines
            assert time.monotonic() - started < 2
        forged = client.post(f"{stack.demo}/webhooks/apideck", json={"payload": {"event_id": "x"}})
        assert forged.status_code == 401


def test_a_service_account_can_create_sessions_and_list_connections(stack: DemoStack) -> None:
    """It may act for the demo's customers only."""
    service = stack.service
    form = {
        "grant_type": "client_credentials",
        "client_id": "onboarding",
        "audience": "vault-bff-services",
    }
    token = httpx.post(f"{stack.issuer}/token", data=form).json()["access_token"]
    headers = bearer(token)

    created = httpx.post(f"{service}/vault-session", json={"consumer_id": "acme"}, headers=headers)
    listed = httpx.get(
        f"{service}/vault-connections", params={"consumer_id": "acme"}, headers=headers
    )
    foreign = httpx.get(
        f"{service}/vault-connections", params={"consumer_id": "other"}, headers=headers
    )

    assert created.status_code == 201
    assert "zoho-crm" in {one["service_id"] for one in listed.json()["connections"]}
    assert problem(foreign) == (403, "consumer-not-granted")
