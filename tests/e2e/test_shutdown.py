"""The process itself, told to end while many callers ask again and again."""

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
from tests.support.callers import Asked, Caller, request
from tests.support.process import environment_for, serving, until

CALLERS, UPSTREAM_SECONDS = 50, 0.2
DELAY_SECONDS, GRACE_SECONDS = 2, 15
SERVED_SECONDS = 1
"""For so long of the delay nobody's connection is closed, however seldom the service looks."""


class Callers:
    """Fifty callers, each with one connection at a time.

    Attributes:
        asked: every request that was sent.
    """

    def __init__(self, port: int, sent: bytes) -> None:
        self.asked: list[Asked] = []
        self._port, self._sent = port, sent

    async def ask_until_refused(self) -> None:
        """Have each of them ask again and again, until nobody listens any more."""
        await asyncio.gather(*(self._ask_until_refused() for _ in range(CALLERS)))

    async def _ask_until_refused(self) -> None:
        async with Caller(self._port) as caller:
            while True:
                if await caller.sees_the_end():
                    caller.hang_up()  # And asks over another one: nothing was sent yet.
                one = await caller.ask(self._sent)
                if one.how == "refused":
                    return
                self.asked.append(one)


@pytest.fixture
def environment(
    issuer: DevelopmentIssuer, apideck: ApideckEmulator, apideck_url: str, unused_tcp_port: int
) -> dict[str, str]:
    """Return the environment of a service that is not ready for a while before it ends."""
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
    """Return where the service's stdout and stderr go, which are more than a pipe holds."""
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


async def not_ready(port: int) -> Asked:
    """Ask whether the service is ready until it is not, or has gone."""
    async with Caller(port) as probe:
        while True:
            answer = await probe.ask(request("GET", "/readyz"))
            if answer.status != 200:
                return answer
            await asyncio.sleep(0.02)


async def test_nobody_who_was_heard_is_lost_when_the_process_ends(
    environment: dict[str, str],
    server: "subprocess.Popen[str]",
    written: tuple[Path, Path],
    issuer: DevelopmentIssuer,
    apideck: ApideckEmulator,
) -> None:
    """Fifty are served until nobody listens, one who is idle is let go, and the process ends."""
    port = int(environment["SERVER__PORT"])
    callers = Callers(port, request("POST", "/vault-session", issuer.token()))
    async with Caller(port) as idle:
        assert (await idle.ask(request("GET", "/livez"))).status == 200
        asking = asyncio.create_task(callers.ask_until_refused())
        await asyncio.to_thread(until, lambda: len(callers.asked) >= 2 * CALLERS)
        server.send_signal(signal.SIGTERM)
        told = time.monotonic()
        unready = await not_ready(port)
        async with asyncio.timeout(DELAY_SECONDS + GRACE_SECONDS):
            end_of_idle = await (await idle.connect()).read()
            await asking
            status = await asyncio.to_thread(server.wait, GRACE_SECONDS)

    answered = [one for one in callers.asked if one.how == "answered"]
    broken = [one for one in callers.asked if one.how != "answered"]
    assert (unready.status, json.loads(unready.body)["shutting_down"]) == (503, True)
    assert {one.status for one in answered} == {201}
    assert any(one.began > unready.ended for one in answered)
    # HTTP has no way to tell that a connection will be closed but with an answer (RFC 9112 section
    # 9.5): who sends as it is closed is not heard. Nothing came of their requests, then.
    assert {one.how for one in broken} <= {"broken"}
    assert all(one.began > told + SERVED_SECONDS for one in broken)
    out, err = (file.read_text() for file in written)
    events = [json.loads(line) for line in out.splitlines()]
    heard = [one["status"] for one in events if one.get("route") == "/vault-session"]
    assert heard == [201] * len(answered)
    assert len(apideck.requests) == len(apideck.minted) == len(answered)

    assert end_of_idle == b""
    assert (status, err) == (0, "")


async def test_what_has_come_unread_when_the_port_closes_is_answered(
    environment: dict[str, str], issuer: DevelopmentIssuer
) -> None:
    """A request is served that came while the process had no time to look, just before its end."""
    port = int(environment["SERVER__PORT"])
    sent = request("POST", "/vault-session", issuer.token())
    environment["SERVER__SHUTDOWN_DELAY_SECONDS"] = "0"
    with serving(environment, program=("tests.support.stopping",)) as process:
        async with Caller(port) as kept, Caller(port) as new:
            assert (await kept.ask(request("GET", "/livez"))).header("connection") is None
            process.send_signal(signal.SIGTERM)
            await asyncio.to_thread(os.waitid, os.P_PID, process.pid, os.WSTOPPED)
            async with asyncio.TaskGroup() as asking:
                asked = [asking.create_task(caller.ask(sent)) for caller in (kept, new)]
                await asyncio.sleep(0.5)
                process.send_signal(signal.SIGCONT)
        _, err = await asyncio.to_thread(process.communicate, timeout=GRACE_SECONDS)

    answers = [one.result() for one in asked]
    assert [(one.how, one.status) for one in answers] == [("answered", 201)] * 2
    assert [one.header("connection") for one in answers] == ["close"] * 2
    assert (process.returncode, err) == (0, "")
