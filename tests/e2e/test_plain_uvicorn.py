"""`app.main:application` with uvicorn's own server instead of the service's server."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest

from emulators.apideck import ApideckEmulator
from emulators.apideck.faults import Broken
from emulators.issuer import DevelopmentIssuer
from tests.support import raw
from tests.support.http import bearer, problem
from tests.support.process import ROOT, START_SECONDS, until, url
from tests.support.waiting import until_ready

QUERY = "planted=in-the-query"


@pytest.fixture
def environment(environment: dict[str, str]) -> dict[str, str]:
    """Return the environment of a service with one slot and long timeouts."""
    return {
        **environment,
        "LIMITS__MAX_IN_FLIGHT": "1",
        "LIMITS__MAX_WAITING": "1",
        "LIMITS__MAX_WAIT_SECONDS": "30",
        "APIDECK__DEADLINE_SECONDS": "60",
        "APIDECK__ATTEMPT_TIMEOUT_SECONDS": "60",
    }


@contextmanager
def uvicorn(
    environment: dict[str, str], log: Path, *options: str
) -> Iterator["subprocess.Popen[str]"]:
    """Run the ASGI app with the command `uvicorn`."""
    command = [sys.executable, "-m", "uvicorn", "--factory", "app.main:application"]
    command += ["--port", environment["SERVER__PORT"], *options]
    with log.open("w") as out:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=out, stderr=out, text=True
        )
        try:
            ready = url(environment, "/readyz")
            assert until_ready(ready, START_SECONDS, is_running=lambda: process.poll() is None)
            yield process
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()


def is_queued(environment: dict[str, str]) -> bool:
    """Tell whether a request is in the queue."""
    sample = 'vault_bff_requests_waiting{queue="sessions"} 1.0'
    return sample in httpx.get(url(environment, "/metrics")).text


def test_the_limit_on_requests_in_flight_holds(
    environment: dict[str, str],
    issuer: DevelopmentIssuer,
    apideck: ApideckEmulator,
    tmp_path: Path,
) -> None:
    """One request runs, one waits, a third is rejected; disconnected clients free their slots."""
    session, port = url(environment, "/vault-session"), int(environment["SERVER__PORT"])
    token = issuer.token()
    sent = raw.request("POST", "/vault-session", token)
    apideck.fail(Broken("hang"))
    with uvicorn(environment, tmp_path / "log"):
        with closing(raw.connect(port)) as first, closing(raw.connect(port)) as second:
            first.sendall(sent)
            until(lambda: len(apideck.requests) == 1)
            second.sendall(sent)
            until(lambda: is_queued(environment))
            rejected = httpx.post(session, headers=bearer(token))
        until(lambda: not is_queued(environment))
        response = httpx.post(session, headers=bearer(token), timeout=30)

    assert problem(rejected) == (503, "overloaded")
    assert response.status_code == 201, response.text
    assert len(apideck.requests) == 2


def test_the_log_has_no_query_no_token_and_all_audit_events(
    environment: dict[str, str], issuer: DevelopmentIssuer, tmp_path: Path
) -> None:
    """Uvicorn's own log would contain them at this level; SIGTERM then stops the process."""
    log, token = tmp_path / "log", issuer.token()
    with uvicorn(environment, log, "--log-level", "trace") as process:
        for _ in range(5):
            minted = httpx.post(
                url(environment, f"/vault-session?{QUERY}"), headers=bearer(token), timeout=30
            )
            assert minted.status_code == 201, minted.text
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) in {0, -signal.SIGTERM}

    text = log.read_text()
    assert text.count("vault_session_minted") == text.count('"http_request"') == 5
    assert QUERY not in text
    assert token not in text
