"""Several processes of the service at once, as a fleet runs it, under load."""

import asyncio
import itertools
import json
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path

import aiohttp
import pytest

from emulators.apideck import ApideckEmulator
from emulators.apideck.faults import Slow
from emulators.apideck.state import SeenRequest
from emulators.issuer import DevelopmentIssuer
from tests.support.http import bearer
from tests.support.ports import free_ports
from tests.support.process import environment_for, serving, url

FIRST_KEY, SECOND_KEY = "sk_first_opens-nothing", "sk_second_opens-nothing"
LOST = 0
"""What stands in for a status where there was no answer."""


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """Return a client that can have many requests in flight."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
        yield http


@pytest.fixture
def environment(
    issuer: DevelopmentIssuer, apideck_url: str, unused_tcp_port: int
) -> dict[str, str]:
    """Return the environment of a service that limits nobody by itself."""
    return {
        **environment_for(issuer.issuer, apideck_url, unused_tcp_port),
        "LIMITS__PER_USER": "unlimited",
        "SESSION__JOIN_IDENTICAL": "false",
        # Nobody reads along, and a pipe that is full would stop the service.
        "LOG__LEVEL": "error",
    }


async def until(holds: Callable[[], bool | Awaitable[bool]], seconds: float = 20) -> None:
    """Wait for what the service does in a time of its own."""
    async with asyncio.timeout(seconds):
        while True:
            answer = holds()
            if await answer if isinstance(answer, Awaitable) else answer:
                return
            await asyncio.sleep(0.01)


async def ask(http: aiohttp.ClientSession, environment: dict[str, str], token: str) -> int:
    """Ask for a session, and return the status of the answer."""
    try:
        async with http.post(url(environment, "/vault-session"), headers=bearer(token)) as answer:
            await answer.read()
            return answer.status
    except aiohttp.ClientError:
        return LOST


async def test_two_processes_admit_one_quota_between_them(
    environment: dict[str, str],
    http: aiohttp.ClientSession,
    issuer: DevelopmentIssuer,
    apideck: ApideckEmulator,
    redis_url: str,
) -> None:
    """Of 120 requests at once at two processes exactly 40 are admitted, each for a session."""
    shared = {
        "LIMITS__PER_USER": "40/hour",
        "LIMITS__STORE": redis_url,
        "LIMITS__STORE_PREFIX": f"fleet-{time.monotonic_ns()}",
        "LIMITS__STORE_TIMEOUT_SECONDS": "5",
    }
    fleet = [
        {**environment, **shared},
        {**environment, **shared, "SERVER__PORT": str(free_ports())},
    ]
    token = issuer.token()
    with serving(fleet[0]), serving(fleet[1]):
        statuses = await asyncio.gather(
            *(ask(http, member, token) for member in itertools.islice(itertools.cycle(fleet), 120))
        )

    assert Counter(statuses) == {201: 40, 429: 80}
    assert len(apideck.minted) == 40


async def test_a_process_that_is_killed_loses_what_it_held_and_nothing_else(
    environment: dict[str, str],
    http: aiohttp.ClientSession,
    issuer: DevelopmentIssuer,
    apideck: ApideckEmulator,
) -> None:
    """After a kill -9 the other of two answers everything, and only what was in flight is lost."""
    apideck.fail(Slow(0.1), times=None)
    other = {**environment, "SERVER__PORT": str(free_ports())}
    token = issuer.token()
    statuses: dict[str, list[int]] = {"killed": [], "other": []}
    over = asyncio.Event()

    async def caller(name: str, member: dict[str, str]) -> None:
        while not over.is_set():
            statuses[name].append(await ask(http, member, token))
            if statuses[name][-1] == LOST:
                return

    with serving(environment) as process, serving(other):
        async with asyncio.TaskGroup() as callers:
            for name, member in (("killed", environment), ("other", other)):
                for _ in range(20):
                    callers.create_task(caller(name, member))
            await until(lambda: len(statuses["killed"]) >= 60)
            process.kill()
            answered = len(statuses["other"])
            await until(lambda: len(statuses["other"]) >= answered + 60)
            over.set()

    assert set(statuses["other"]) == {201}
    assert Counter(statuses["killed"])[LOST] == 20
    assert set(statuses["killed"]) == {201, LOST}


async def test_a_key_is_rotated_under_load_and_nobody_notices(
    environment: dict[str, str],
    http: aiohttp.ClientSession,
    issuer: DevelopmentIssuer,
    tmp_path: Path,
) -> None:
    """The new key is in use within seconds, a bad one never is, and every request is answered."""
    file = tmp_path / "key"
    file.write_text(FIRST_KEY)
    emulator = ApideckEmulator([FIRST_KEY, SECOND_KEY])
    statuses: list[int] = []
    over = asyncio.Event()
    token = issuer.token()

    async def caller() -> None:
        while not over.is_set():
            statuses.append(await ask(http, environment, token))

    def used(key: str) -> bool:
        return all(seen.header("authorization") == f"Bearer {key}" for seen in last_seen())

    def last_seen() -> list[SeenRequest]:
        return emulator.requests[-16:]

    async def bad_key_is_reported() -> bool:
        async with http.get(url(environment, "/metrics")) as answer:
            return 'key_file_failing{application="default"} 1.0' in await answer.text()

    with ExitStack() as stack:
        apideck_url = stack.enter_context(emulator.serve())
        del environment["APIDECK__API_KEY"]
        environment["APIDECK__API_KEY_FILE"] = str(file)
        environment["APIDECK__BASE_URL"] = apideck_url
        environment["APIDECK__VAULT_ORIGINS"] = json.dumps([apideck_url])
        process = stack.enter_context(serving(environment))
        async with asyncio.TaskGroup() as callers:
            for _ in range(8):
                callers.create_task(caller())
            await until(lambda: len(emulator.requests) > 16 and used(FIRST_KEY))
            (tmp_path / "new").write_text(SECOND_KEY)
            # In one step, as mounted secrets change: half a key is none, and would be reported.
            (tmp_path / "new").replace(file)
            await until(
                lambda: emulator.requests[-1].header("authorization") == f"Bearer {SECOND_KEY}",
                seconds=5,
            )
            await until(lambda: used(SECOND_KEY))
            emulator.accepted = {f"Bearer {SECOND_KEY}"}
            file.write_text("two words")
            await until(bad_key_is_reported)
            over.set()
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=15)

    assert set(statuses) == {201}
    assert [json.loads(line)["event"] for line in out.splitlines()] == ["api_key_refused"]
    assert "two words" not in out
    assert FIRST_KEY not in out
    assert SECOND_KEY not in out
