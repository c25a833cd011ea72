"""The service with two workers: callers, probes and Prometheus see a single service."""

import asyncio
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from app import __version__
from app.__main__ import MISCONFIGURED, main
from app.observability.redaction import Redactor
from emulators.apideck import ApideckEmulator
from emulators.apideck.emulator import API_KEY
from emulators.apideck.faults import Broken, Slow
from emulators.issuer import DevelopmentIssuer
from tests.support import raw
from tests.support.ports import free_ports
from tests.support.process import START_SECONDS, environment_for, serving, until, url
from tests.support.raw import Exchange, request, send_once

WORKERS = {"1", "2"}
Samples = dict[tuple[str, str], float]
"""Samples by name and by the label `worker`, summed over all other labels."""


class Service:
    """The service, and what it reports on its internal port.

    Attributes:
        environment: the settings.
        process: the supervisor.
        out: the file with the stdout of all processes.
        err: the file with the stderr of all processes.
    """

    def __init__(
        self,
        environment: dict[str, str],
        process: "subprocess.Popen[str]",
        written: tuple[Path, Path],
    ) -> None:
        self.environment = environment
        self.process = process
        self.out, self.err = written
        self.port = int(environment["SERVER__PORT"])
        self._http = httpx.Client(
            base_url=url({"SERVER__PORT": environment["SERVER__INTERNAL_PORT"]}, "")
        )

    def get(self, path: str) -> httpx.Response:
        """Return the response of the internal port."""
        return self._http.get(path, timeout=30)

    def samples(self) -> Samples:
        """Return the metrics."""
        found: Samples = {}
        for family in text_string_to_metric_families(self.get("/metrics").text):
            for sample in family.samples:
                key = sample.name, sample.labels.get("worker", "")
                found[key] = found.get(key, 0) + sample.value
        return found

    def responses(self, status: int) -> float:
        """Return how many responses of `POST /vault-session` had a status."""
        sample = f'route="/vault-session",status="{status}"}} '
        lines = self.get("/metrics").text.splitlines()
        counts = [line for line in lines if "requests_total" in line and sample in line]
        return float(counts[0].rpartition(" ")[2]) if counts else 0

    def ready(self) -> set[str]:
        """Return the workers that are ready."""
        workers: dict[str, Any] = self.get("/readyz").json()["workers"]
        return {name for name, report in workers.items() if report["status"] == "ready"}

    def workers(self) -> list[int]:
        """Return the process ids of the workers."""
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [
            int(child)
            for child in children
            if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()
        ]

    def close(self) -> None:
        """Close the connection to the internal port."""
        self._http.close()


def environment_of_two(issuer_url: str, apideck_url: str, folder: Path) -> dict[str, str]:
    """Return the environment of a service with two workers, without a rate limit.

    Args:
        issuer_url: the issuer's URL.
        apideck_url: the emulator's URL.
        folder: the folder for the file with the API key.
    """
    (folder / "key").write_text(API_KEY)
    port = free_ports(2)
    environment = environment_for(issuer_url, apideck_url, port)
    del environment["APIDECK__API_KEY"]
    return {
        **environment,
        "APIDECK__API_KEY_FILE": str(folder / "key"),
        "LIMITS__PER_USER": "unlimited",
        "SESSION__JOIN_IDENTICAL": "false",
        "SERVER__INTERNAL_PORT": str(port + 1),
        "SERVER__WORKERS": "2",
    }


@pytest.fixture(scope="module")
def started() -> Iterator[tuple[list[Service], ExitStack]]:
    """Yield the list of started services, and the stack that stops them."""
    with ExitStack() as stack:
        yield [], stack


@pytest.fixture
def service(
    started: tuple[list[Service], ExitStack],
    issuer: DevelopmentIssuer,
    apideck_url: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Service:
    """Return a service with two ready workers: the last one if it still runs, or a new one."""
    services, stack = started
    if not services or services[-1].process.poll() is not None:
        folder = tmp_path_factory.mktemp("workers")
        environment = environment_of_two(issuer.issuer, apideck_url, folder)
        written = folder / "out", folder / "err"
        out, err = (stack.enter_context(file.open("w")) for file in written)
        process = stack.enter_context(serving(environment, into=(out, err)))
        services.append(Service(environment, process, written))
        stack.callback(services[-1].close)
    until(lambda: services[-1].ready() == WORKERS, START_SECONDS)
    return services[-1]


async def send_all(port: int, sent: bytes, count: int) -> list[Exchange]:
    """Send a request on each of `count` connections at the same time."""
    return await asyncio.gather(*(send_once(port, sent) for _ in range(count)))


def test_the_metrics_of_both_workers_are_on_one_page(
    service: Service, issuer: DevelopmentIssuer
) -> None:
    """Counters are summed; gauges and process metrics have the label `worker`."""
    before = service.responses(201)
    sent = request("POST", "/vault-session", issuer.token())
    exchanges = asyncio.run(send_all(service.port, sent, 40))
    samples = service.samples()

    assert {one.status for one in exchanges} == {201}
    assert service.responses(201) == before + 40
    for gauge in ("vault_bff_jwks_usable", "vault_bff_apideck_breaker_state"):
        assert {worker for name, worker in samples if name == gauge} == WORKERS
    memory = [key for key in samples if key[0] == "process_resident_memory_bytes"]
    assert {worker for _, worker in memory} == WORKERS | {"supervisor"}
    assert all(samples[key] > 0 for key in memory)


def test_the_service_is_ready_if_any_worker_is_ready(service: Service) -> None:
    """The response has the state of each worker; HEAD has the same status."""
    ready = service.get("/readyz")
    worker = ready.json()["workers"]["2"]

    assert ready.status_code == 200
    assert (ready.json()["status"], ready.json()["shutting_down"]) == ("ready", False)
    assert worker["issuers"]["main"]["usable"] is True
    assert worker["apideck"]["default"]["breaker"] == "closed"
    internal = {"SERVER__PORT": service.environment["SERVER__INTERNAL_PORT"]}
    assert httpx.head(url(internal, "/readyz")).status_code == 200
    assert service.get("/livez").json() == {"status": "alive"}


def test_connections_are_distributed_over_the_workers(
    service: Service, issuer: DevelopmentIssuer, apideck: ApideckEmulator
) -> None:
    """Of 64 connections that are opened together, each worker gets at least 12."""
    apideck.fail(Broken("hang"), times=None)
    sent = request("POST", "/vault-session", issuer.token())

    def in_flight() -> list[float]:
        samples = service.samples()
        return [samples["vault_bff_http_requests_in_flight", one] for one in sorted(WORKERS)]

    with ExitStack() as stack:
        for _ in range(64):
            stack.enter_context(raw.connect(service.port, 20)).sendall(sent)
        until(lambda: sum(in_flight()) == 64)
        shares = in_flight()
    until(lambda: sum(in_flight()) == 0)

    # The probability that the kernel gives a worker fewer than 12 is about one in a million.
    assert min(shares) >= 12


def test_a_new_key_reaches_every_worker(service: Service) -> None:
    """Each worker reads the key file."""
    file = Path(service.environment["APIDECK__API_KEY_FILE"])

    def replace_key(key: str) -> None:
        written = time.monotonic()
        (file.parent / "new").write_text(key)
        (file.parent / "new").replace(file)
        until(lambda: used_by_all_since(written))

    def used_by_all_since(written: float) -> bool:
        # Read the time first: after a slow response it could exceed the age of the previous key.
        seconds = time.monotonic() - written
        samples = service.samples()
        ages = [samples["vault_bff_apideck_key_age_seconds", one] for one in WORKERS]
        return max(ages) < seconds

    replace_key("sk_another_opens-nothing")
    replace_key(API_KEY)


def test_a_killed_worker_is_replaced(service: Service, issuer: DevelopmentIssuer) -> None:
    """Meanwhile the other worker serves all new requests; no counter decreases."""
    asyncio.run(send_all(service.port, request("GET", "/problems"), 8))
    before = service.samples()
    killed, other = service.workers()
    os.kill(killed, signal.SIGKILL)
    until(lambda: not Path(f"/proc/{killed}").exists() and service.workers() == [other])
    sent = request("POST", "/vault-session", issuer.token())
    meanwhile = asyncio.run(send_all(service.port, sent, 8))
    ready = service.get("/readyz").status_code
    until(lambda: service.ready() == WORKERS, START_SECONDS)
    after = service.samples()

    assert {one.status for one in meanwhile} == {201}
    assert ready == 200
    total = "vault_bff_http_requests_total", ""
    assert after[total] >= before[total] + 8
    ended = "vault_bff_workers_ended_total", ""
    assert after[ended] == before[ended] + 1


def test_the_startup_log_has_the_version_and_a_warning_about_limits(service: Service) -> None:
    """The warning says that each worker counts rate limits separately."""
    events = {one["event"]: one for one in map(json.loads, service.out.read_text().splitlines())}

    assert events["service_starting"]["workers"] == 2
    assert events["service_starting"]["version"] == __version__
    assert events["limits_counted_by_each_worker"]["workers"] == 2


def test_a_port_in_use_prevents_startup(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers share their port only with each other."""
    monkeypatch.setattr("app.server.start.configure_logging", lambda _: Redactor())
    monkeypatch.setattr("app.server.start.exit_on_signals", lambda: None)
    for name, value in service.environment.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(SystemExit) as error:
        main(["serve"])

    assert error.value.code == 3


def test_invalid_settings_prevent_startup(
    service: Service, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The supervisor reports invalid settings before it starts a worker."""
    for name, value in {**service.environment, "SERVER__WORKERS": "many"}.items():
        monkeypatch.setenv(name, value)

    assert main(["serve"]) == MISCONFIGURED
    assert capsys.readouterr().err == (
        "SERVER__WORKERS: must be auto, or a whole number from 1 to 128\n"
    )


def test_sigterm_drains_every_worker(
    service: Service, issuer: DevelopmentIssuer, apideck: ApideckEmulator
) -> None:
    """Requests in flight succeed, the internal port closes last, and all workers exit."""
    apideck.fail(Slow(3), times=None)
    workers = service.workers()
    responses: list[httpx.Response] = []

    def shutting_down() -> bool:
        responses.append(service.get("/readyz"))
        return responses[-1].status_code == 503

    sent = request("POST", "/vault-session", issuer.token())
    with ThreadPoolExecutor() as pool:
        pending = pool.submit(asyncio.run, send_all(service.port, sent, 16))
        until(lambda: len(apideck.requests) == 16)
        service.process.send_signal(signal.SIGTERM)
        until(shutting_down)
        exchanges = pending.result()
    status = service.process.wait(40)

    assert responses[-1].json()["shutting_down"] is True
    assert {one.status for one in exchanges} == {201}
    assert (status, service.err.read_text()) == (0, "")
    assert not any(Path(f"/proc/{worker}").exists() for worker in workers)
    tokens = {json.loads(one.body)["session_token"] for one in exchanges}
    assert tokens == {one.token for one in apideck.minted}
