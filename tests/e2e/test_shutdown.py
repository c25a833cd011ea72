"""The shutdown of the process while many clients send requests one after another."""

import asyncio
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from emulators.apideck import ApideckEmulator
from emulators.apideck.faults import Slow
from emulators.issuer import DevelopmentIssuer
from tests.support.process import environment_for, serving, until
from tests.support.raw import Client, Exchange, request

CLIENTS, UPSTREAM_SECONDS = 50, 0.2
DELAY_SECONDS, GRACE_SECONDS = 2, 15
SERVED_SECONDS = 1
"""During this part of the delay no connection is closed, even on a busy machine."""


class Clients:
    """Fifty clients, each with one connection at a time.

    Attributes:
        exchanges: every request that was sent.
    """

    def __init__(self, port: int, sent: bytes) -> None:
        self.exchanges: list[Exchange] = []
        self._port, self._request = port, sent

    async def send_until_refused(self) -> None:
        """Send requests with each client until the port is closed."""
        await asyncio.gather(*(self._send_until_refused() for _ in range(CLIENTS)))

    async def _send_until_refused(self) -> None:
        async with Client(self._port) as client:
            while True:
                if await client.is_disconnected():
                    client.disconnect()  # It opens another connection: nothing was sent yet.
                one = await client.send(self._request)
                if one.outcome == "refused":
                    return
                self.exchanges.append(one)


@pytest.fixture
def environment(
    issuer: DevelopmentIssuer, apideck: ApideckEmulator, apideck_url: str, unused_tcp_port: int
) -> dict[str, str]:
    """Return the environment of a service that is unready for two seconds before it stops."""
    apideck.fail(Slow(UPSTREAM_SECONDS), times=None)
    return {
        **environment_for(issuer.issuer, apideck_url, unused_tcp_port),
        "LIMITS__PER_USER": "unlimited",
        "SESSION__JOIN_IDENTICAL": "false",
        "SERVER__SHUTDOWN_DELAY_SECONDS": str(DELAY_SECONDS),
        "SERVER__SHUTDOWN_GRACE_SECONDS": str(GRACE_SECONDS),
    }


@pytest.fixture
def written(tmp_path: Path) -> tuple[Path, Path]:
    """Return files for stdout and stderr, because the output is larger than a pipe's buffer."""
    return tmp_path / "out", tmp_path / "err"


@pytest.fixture
def server(
    environment: dict[str, str], written: tuple[Path, Path]
) -> Iterator["subprocess.Popen[str]"]:
    """Run the service."""
    out, err = written
    with (
        out.open("w") as stdout,
        err.open("w") as stderr,
        serving(environment, into=(stdout, stderr)) as process,
    ):
        yield process


async def probe_until_unready(port: int) -> Exchange:
    """Probe the service until it is not ready; return the response."""
    async with Client(port) as probe:
        while True:
            response = await probe.send(request("GET", "/readyz"))
            if response.status != 200:
                return response
            await asyncio.sleep(0.02)


async def test_no_received_request_is_lost_at_shutdown(
    environment: dict[str, str],
    server: "subprocess.Popen[str]",
    written: tuple[Path, Path],
    issuer: DevelopmentIssuer,
    apideck: ApideckEmulator,
) -> None:
    """Fifty clients are served until the port is closed; an idle connection is closed, too."""
    port = int(environment["SERVER__PORT"])
    clients = Clients(port, request("POST", "/vault-session", issuer.token()))
    async with Client(port) as idle:
        assert (await idle.send(request("GET", "/livez"))).status == 200
        sending = asyncio.create_task(clients.send_until_refused())
        await asyncio.to_thread(until, lambda: len(clients.exchanges) >= 2 * CLIENTS)
        server.send_signal(signal.SIGTERM)
        signalled = time.monotonic()
        unready = await probe_until_unready(port)
        async with asyncio.timeout(DELAY_SECONDS + GRACE_SECONDS):
            end_of_idle = await (await idle.connect()).read()
            await sending
            status = await asyncio.to_thread(server.wait, GRACE_SECONDS)

    responded = [one for one in clients.exchanges if one.outcome == "responded"]
    broken = [one for one in clients.exchanges if one.outcome != "responded"]
    assert (unready.status, json.loads(unready.body)["shutting_down"]) == (503, True)
    assert {one.status for one in responded} == {201}
    assert any(one.started_at > unready.ended_at for one in responded)
    # HTTP announces the end of a connection in a response only (RFC 9112 section 9.5), so a request
    # may be sent while its connection is being closed. Such requests have no effect.
    assert {one.outcome for one in broken} <= {"broken"}
    assert all(one.started_at > signalled + SERVED_SECONDS for one in broken)
    out, err = (file.read_text() for file in written)
    events = [json.loads(line) for line in out.splitlines()]
    logged = [one["status"] for one in events if one.get("event") == "http_request"]
    assert logged == [201] * len(responded)
    assert len(apideck.requests) == len(apideck.minted) == len(responded)

    assert end_of_idle == b""
    assert (status, err) == (0, "")


async def test_an_unread_request_is_served_when_the_port_closes(
    environment: dict[str, str], issuer: DevelopmentIssuer
) -> None:
    """It arrived while the process was paused, on an open connection or on a new one."""
    port = int(environment["SERVER__PORT"])
    sent = request("POST", "/vault-session", issuer.token())
    environment["SERVER__SHUTDOWN_DELAY_SECONDS"] = "0"
    with serving(environment, program=("tests.support.stopping",)) as process:
        async with Client(port) as kept, Client(port) as new:
            assert "connection" not in (await kept.send(request("GET", "/livez"))).headers
            process.send_signal(signal.SIGTERM)
            await asyncio.to_thread(os.waitid, os.P_PID, process.pid, os.WSTOPPED)
            async with asyncio.TaskGroup() as sending:
                sent_by = [sending.create_task(client.send(sent)) for client in (kept, new)]
                await asyncio.sleep(0.5)
                process.send_signal(signal.SIGCONT)
        _, err = await asyncio.to_thread(process.communicate, timeout=GRACE_SECONDS)

    exchanges = [one.result() for one in sent_by]
    assert [(one.outcome, one.status) for one in exchanges] == [("responded", 201)] * 2
    assert [one.headers["connection"] for one in exchanges] == ["close"] * 2
    assert (process.returncode, err) == (0, "")
