"""The process itself: `python -m app`, as an operator runs it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from app.__main__ import MISCONFIGURED
from emulators.apideck import ApideckEmulator
from emulators.apideck.emulator import API_KEY
from emulators.apideck.faults import Slow
from emulators.issuer import DevelopmentIssuer
from tests.support.http import bearer

ROOT = Path(__file__).parent.parent.parent
START_SECONDS = 15


@pytest.fixture
def environment(
    issuer: DevelopmentIssuer, apideck_url: str, apideck: ApideckEmulator, unused_tcp_port: int
) -> dict[str, str]:
    """Return the environment of a service between the two, on a free port."""
    assert apideck.requests == []
    return {
        **os.environ,
        "APIDECK__API_KEY": API_KEY,
        "APIDECK__APP_ID": "app",
        "APIDECK__BASE_URL": apideck_url,
        "APIDECK__VAULT_ORIGINS": json.dumps([apideck_url]),
        "IDENTITY__ISSUERS__MAIN__ISSUER": issuer.issuer,
        "IDENTITY__ISSUERS__MAIN__AUDIENCE": "vault-bff",
        "SERVER__PORT": str(unused_tcp_port),
    }


def app(command: str, environment: dict[str, str]) -> "subprocess.Popen[str]":
    """Start a command of the service's."""
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "app", command],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def server(environment: dict[str, str]) -> Iterator["subprocess.Popen[str]"]:
    """Run the service until it is ready; ends it the hard way should a test have failed to."""
    process = app("serve", environment)
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(url(environment, "/readyz")).status_code == 200:
                break
        except httpx.TransportError:
            pass
        time.sleep(0.02)
    yield process
    if process.poll() is None:
        process.kill()
    process.communicate(timeout=10)


def url(environment: dict[str, str], path: str) -> str:
    """Return a URL of the running service."""
    return f"http://127.0.0.1:{environment['SERVER__PORT']}{path}"


def test_requests_in_flight_finish_after_sigterm(
    environment: dict[str, str],
    server: "subprocess.Popen[str]",
    issuer: DevelopmentIssuer,
    apideck: ApideckEmulator,
) -> None:
    """Told to end, the process answers what it has begun, then ends with 0 and without a trace."""
    apideck.fail(Slow(1))
    with ThreadPoolExecutor() as pool:
        asking = pool.submit(
            httpx.post,
            url(environment, "/vault-session"),
            headers=bearer(issuer.token()),
            timeout=10,
        )
        while not apideck.requests:
            time.sleep(0.01)
        server.send_signal(signal.SIGTERM)
        answer = asking.result()

    out, err = server.communicate(timeout=15)
    assert answer.status_code == 201
    assert server.returncode == 0
    assert err == ""
    events = [json.loads(line) for line in out.splitlines()]
    assert "vault_session_minted" in {event["event"] for event in events}
    assert API_KEY not in out
    assert answer.json()["session_token"] not in out


def test_sigint_ends_it_as_well(server: "subprocess.Popen[str]") -> None:
    """Ctrl-C at a terminal is no failure."""
    server.send_signal(signal.SIGINT)

    _, err = server.communicate(timeout=15)

    assert server.returncode == 0
    assert err == ""


def test_wrong_settings_stop_the_start(environment: dict[str, str]) -> None:
    """Each fault is a line on stderr, and no value is shown."""
    for command in ("serve", "check"):
        process = app(command, {**environment, "APIDECK__API_KEY": "a b", "SERVER__PORT": "x"})
        out, err = process.communicate(timeout=20)

        assert process.returncode == MISCONFIGURED
        assert out == ""
        assert [line.partition(":")[0] for line in err.splitlines()] == [
            "APIDECK__API_KEY",
            "SERVER__PORT",
        ]


@pytest.mark.parametrize("content", [None, "", "two words", "ä" * 20])
def test_a_key_file_without_a_key_stops_the_start(
    environment: dict[str, str], tmp_path: Path, content: str | None
) -> None:
    """A file that is missing, empty or holds no key is named; its content is not shown."""
    file = tmp_path / "key"
    if content is not None:
        file.write_text(content)
    del environment["APIDECK__API_KEY"]

    process = app("check", {**environment, "APIDECK__API_KEY_FILE": str(file)})
    _, err = process.communicate(timeout=20)

    assert process.returncode == MISCONFIGURED
    assert err.startswith("APIDECK__API_KEY_FILE: ")
    assert not content or content not in err


def test_good_settings_pass_the_check(environment: dict[str, str]) -> None:
    """Nothing wrong means status 0 and silence."""
    process = app("check", environment)

    assert process.communicate(timeout=20) == ("", "")
    assert process.returncode == 0
