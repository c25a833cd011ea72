"""Requests and the shutdown of the process when its log cannot be written."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from emulators.apideck import ApideckEmulator
from emulators.issuer import DevelopmentIssuer
from tests.support.http import bearer
from tests.support.process import ROOT, environment_for, serving, until, url

PIPE_BYTES = 65_536


@pytest.fixture
def environment(
    issuer: DevelopmentIssuer, apideck_url: str, apideck: ApideckEmulator, unused_tcp_port: int
) -> dict[str, str]:
    """Return the environment of a service without limits."""
    assert apideck.requests == []
    environment = environment_for(issuer.issuer, apideck_url, unused_tcp_port)
    return {**environment, "LIMITS__PER_USER": "unlimited"}


@contextmanager
def serving_into(environment: dict[str, str], out: int) -> Iterator["subprocess.Popen[str]"]:
    """Run the service with a file descriptor as its stdout."""
    with (
        os.fdopen(os.dup(out), "w") as stdout,
        Path(os.devnull).open("w") as stderr,
        serving(environment, into=(stdout, stderr)) as process,
    ):
        stdout.close()  # So that only the service has this descriptor open.
        yield process


def mint(environment: dict[str, str], token: str, times: int) -> None:
    """Request this many sessions, and fail unless each is created."""
    with httpx.Client() as client:
        for _ in range(times):
            response = client.post(url(environment, "/vault-session"), headers=bearer(token))
            assert response.status_code == 201, response.text
        assert client.get(url(environment, "/livez")).status_code == 200


def lost(environment: dict[str, str], cause: str) -> float:
    """Return the number of lost audit events in the metrics."""
    text = httpx.get(url(environment, "/metrics")).text
    name = f'vault_bff_log_lines_lost_total{{cause="{cause}",kind="audit"}} '
    [line] = [line for line in text.splitlines() if line.startswith(name)]
    return float(line.removeprefix(name))


def stop(process: "subprocess.Popen[str]") -> None:
    """Stop a process, and fail unless it exits in time with status 0."""
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=15) == 0


def test_an_unread_log_does_not_block_the_service(
    environment: dict[str, str], issuer: DevelopmentIssuer, apideck: ApideckEmulator
) -> None:
    """Sessions are created, probes get a response, and SIGTERM stops the process."""
    reader, out = os.pipe()
    try:
        with serving_into(environment, out) as process:
            mint(environment, issuer.token(), 200)
            stop(process)
    finally:
        os.close(reader)
        os.close(out)
    assert len(apideck.minted) == 200


def test_no_session_is_lost_when_the_log_reader_exits(
    environment: dict[str, str], issuer: DevelopmentIssuer, apideck: ApideckEmulator
) -> None:
    """Callers get the sessions that Apideck creates, and the lost audit events are counted."""
    reader, out = os.pipe()
    with serving_into(environment, out) as process:
        os.close(out)
        os.close(reader)
        mint(environment, issuer.token(), 10)
        until(lambda: lost(environment, "write-failed") == 10)
        stop(process)
    assert len(apideck.minted) == 10


def test_no_session_is_lost_on_a_full_disk(
    environment: dict[str, str], issuer: DevelopmentIssuer, apideck: ApideckEmulator
) -> None:
    """Callers get their sessions when the log is a file and the disk is full."""
    with Path("/dev/full").open("w") as full, serving_into(environment, full.fileno()) as process:
        mint(environment, issuer.token(), 10)
        until(lambda: lost(environment, "write-failed") == 10)
        stop(process)
    assert len(apideck.minted) == 10


def test_no_session_is_lost_with_a_closed_stdout(
    environment: dict[str, str], issuer: DevelopmentIssuer, tmp_path: Path
) -> None:
    """The log is not written to another file, such as a socket, that gets stdout's descriptor."""
    command = ["/bin/sh", "-c", 'exec "$0" -m app serve >&-', sys.executable]
    with (tmp_path / "err").open("w") as err:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=err)
        try:
            until(lambda: _ready(environment))
            mint(environment, issuer.token(), 10)
            until(lambda: lost(environment, "write-failed") == 10)
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=15) == 0
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
    assert (tmp_path / "err").read_text() == ""


def _ready(environment: dict[str, str]) -> bool:
    try:
        return httpx.get(url(environment, "/readyz")).status_code == 200
    except httpx.TransportError:
        return False


def test_a_slow_log_reader_does_not_delay_requests(
    environment: dict[str, str], issuer: DevelopmentIssuer
) -> None:
    """Lines that do not fit into the pipe wait in a queue, and the reader gets all of them."""
    reader, out = os.pipe()
    with serving_into(environment, out) as process, os.fdopen(reader, "rb") as log:
        os.close(out)
        mint(environment, issuer.token(), 200)
        read = log.read(1000)
        mint(environment, issuer.token(), 1)
        process.send_signal(signal.SIGTERM)
        read += log.read()
        assert process.wait(timeout=15) == 0

    assert len(read) > PIPE_BYTES
    events = [json.loads(line)["event"] for line in read.splitlines()]
    assert events.count("vault_session_minted") == 201
    assert events[-1] == f"Finished server process [{process.pid}]"
