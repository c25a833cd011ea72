"""The process with a separate port for probes and metrics."""

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from app.__main__ import MISCONFIGURED
from emulators.apideck import ApideckEmulator
from emulators.apideck.faults import Broken, Slow
from emulators.issuer import DevelopmentIssuer
from tests.support.http import bearer, problem
from tests.support.ports import free_ports
from tests.support.process import environment_for, serving, start, until, url

INTERNAL = ("/livez", "/readyz", "/metrics")


@pytest.fixture
def environment(issuer: DevelopmentIssuer, apideck_url: str) -> dict[str, str]:
    """Return the environment of a service with two ports and one allowed host name."""
    port = free_ports(2)
    return {
        **environment_for(issuer.issuer, apideck_url, port),
        "SERVER__INTERNAL_PORT": str(port + 1),
        "SERVER__HOST": "::",  # The tests use IPv4.
        "SERVER__ALLOWED_HOSTS": '["vault.example.com"]',
    }


def internal_url(environment: dict[str, str], path: str) -> str:
    """Return a URL on the internal port."""
    return f"http://127.0.0.1:{environment['SERVER__INTERNAL_PORT']}{path}"


def status(address: str, **headers: str) -> int:
    """Return the status of a response; 0 if the port is closed."""
    try:
        return httpx.get(address, headers=headers).status_code
    except httpx.TransportError:
        return 0


def test_probes_and_metrics_are_on_the_internal_port_only(environment: dict[str, str]) -> None:
    """The internal port accepts any host name; the public port has only the API."""
    with serving(environment):
        internal = [status(internal_url(environment, path)) for path in INTERNAL]
        public = [status(url(environment, path), host="vault.example.com") for path in INTERNAL]
        other_host = httpx.get(url(environment, "/livez"))
        api = httpx.post(url(environment, "/vault-session"), headers={"host": "vault.example.com"})
        missing = httpx.post(internal_url(environment, "/vault-session"))

    assert internal == [200] * 3
    assert public == [404] * 3
    assert problem(other_host) == (421, "misdirected-request")
    assert problem(api) == (401, "unauthenticated")
    assert problem(missing) == (404, "not-found")
    assert missing.headers["cache-control"] == "no-store"


def test_metrics_of_both_ports_are_on_one_page(environment: dict[str, str]) -> None:
    """A request to the public port is counted on the internal one."""
    with serving(environment):
        httpx.post(url(environment, "/vault-session"), headers={"host": "vault.example.com"})
        page = httpx.get(internal_url(environment, "/metrics")).text

    sample = 'vault_bff_http_requests_total{method="POST",route="/vault-session",status="401"}'
    assert f"\n{sample} 1.0\n" in page
    assert 'vault_bff_jwks_usable{issuer="main"} 1.0' in page


@contextmanager
def starting(environment: dict[str, str]) -> Iterator["subprocess.Popen[str]"]:
    """Start a service, without waiting until it is ready."""
    process = start("serve", environment, program=("tests.support.stalling",))
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=10)


def test_the_internal_port_opens_first(environment: dict[str, str], tmp_path: Path) -> None:
    """During startup the service is alive and not ready, and its public port is closed."""
    may_start = tmp_path / "may-start"
    with starting({**environment, "MAY_START": str(may_start)}):
        until(lambda: status(internal_url(environment, "/livez")) == 200)
        ready = httpx.get(internal_url(environment, "/readyz"))
        metrics = status(internal_url(environment, "/metrics"))
        public = status(url(environment, "/"))
        may_start.touch()
        until(lambda: status(internal_url(environment, "/readyz")) == 200)

    assert (ready.status_code, ready.json()) == (503, {"status": "starting"})
    assert (metrics, public) == (200, 0)


def test_the_internal_port_closes_last(
    environment: dict[str, str], issuer: DevelopmentIssuer, apideck: ApideckEmulator
) -> None:
    """While the public port finishes its requests, the service is alive and not ready."""
    apideck.fail(Slow(2))
    headers = {**bearer(issuer.token()), "host": "vault.example.com"}
    with serving(environment) as process, ThreadPoolExecutor() as pool:
        pending = pool.submit(
            httpx.post, url(environment, "/vault-session"), headers=headers, timeout=20
        )
        until(lambda: len(apideck.requests) == 1)
        process.send_signal(signal.SIGTERM)
        until(lambda: status(url(environment, "/")) == 0)
        alive = status(internal_url(environment, "/livez"))
        ready = httpx.get(internal_url(environment, "/readyz"))
        response = pending.result()
        out, err = process.communicate(timeout=15)

    assert alive == 200
    assert (ready.status_code, ready.json()["shutting_down"]) == (503, True)
    assert response.status_code == 201
    assert (process.returncode, err) == (0, "")
    assert "vault_session_minted" in {json.loads(line)["event"] for line in out.splitlines()}


def test_probes_do_not_wait_behind_requests(
    environment: dict[str, str], issuer: DevelopmentIssuer, apideck: ApideckEmulator
) -> None:
    """While every slot is occupied and the queue is full, probes get a response within seconds."""
    apideck.fail(Broken("hang"), times=None)
    environment |= {"LIMITS__MAX_IN_FLIGHT": "1", "LIMITS__MAX_WAITING": "0"}
    headers = {**bearer(issuer.token()), "host": "vault.example.com"}
    with serving(environment), ThreadPoolExecutor() as pool:
        pool.submit(httpx.post, url(environment, "/vault-session"), headers=headers, timeout=5)
        until(lambda: len(apideck.requests) == 1)
        rejected = httpx.post(url(environment, "/vault-session"), headers=headers)
        started = time.monotonic()
        alive = status(internal_url(environment, "/livez"))
        seconds = time.monotonic() - started

    assert problem(rejected) == (503, "overloaded")
    assert alive == 200
    assert seconds < 3


@pytest.mark.parametrize(
    ("setting", "value", "exit_status"),
    [
        ("SERVER__INTERNAL_PORT", "same", MISCONFIGURED),
        ("SERVER__INTERNAL_PORT", "0", MISCONFIGURED),
        ("SERVER__INTERNAL_HOST", "192.0.2.1", 3),
    ],
)
def test_an_internal_port_that_cannot_be_opened_prevents_startup(
    environment: dict[str, str], setting: str, value: str, exit_status: int
) -> None:
    """Otherwise the service would run without probes."""
    environment[setting] = environment["SERVER__PORT"] if value == "same" else value
    process = start("serve", environment)
    process.communicate(timeout=20)

    assert process.returncode == exit_status
