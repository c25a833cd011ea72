"""Several processes of the service under load."""

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
from tests.support.raw import Exchange, request, send_once

pytestmark = pytest.mark.serial

FIRST_KEY, SECOND_KEY = "sk_first_opens-nothing", "sk_second_opens-nothing"
LOST = 0
"""The status of a request without a response."""


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """Return a client that can have many requests in flight."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
        yield http


@pytest.fixture
def environment(
    issuer: DevelopmentIssuer, apideck_url: str, unused_tcp_port: int
) -> dict[str, str]:
    """Return the environment of a service without rate limits."""
    return {
        **environment_for(issuer.issuer, apideck_url, unused_tcp_port),
        "LIMITS__PER_USER": "unlimited",
        "SESSION__JOIN_IDENTICAL": "false",
        # Nothing reads the log.
        "LOG__LEVEL": "error",
    }


def fleet_of_two(
    environment: dict[str, str], redis_url: str, per_user: str
) -> tuple[dict[str, str], dict[str, str]]:
    """Return the environments of two processes that share a rate limit store."""
    shared = {
        "LIMITS__PER_USER": per_user,
        "LIMITS__STORE": redis_url,
        "LIMITS__STORE_PREFIX": f"fleet-{time.monotonic_ns()}",
        "LIMITS__STORE_TIMEOUT_SECONDS": "5",
        "LIMITS__WHEN_STORE_FAILS": "closed",
    }
    one = {**environment, **shared}
    return one, {**one, "SERVER__PORT": str(free_ports())}


def started_after(moment: float, exchanges: list[Exchange]) -> list[Exchange]:
    """Return the requests that started after a moment."""
    return [one for one in exchanges if one.started_at > moment]


def created(exchanges: list[Exchange]) -> list[Exchange]:
    """Return the requests that created a session."""
    return [one for one in exchanges if one.status == 201]


async def until(condition: Callable[[], bool | Awaitable[bool]], seconds: float = 20) -> None:
    """Wait until a condition is true."""
    async with asyncio.timeout(seconds):
        while True:
            result = condition()
            if await result if isinstance(result, Awaitable) else result:
                return
            await asyncio.sleep(0.01)


async def post(http: aiohttp.ClientSession, environment: dict[str, str], token: str) -> int:
    """Request a session, and return the status of the response."""
    try:
        async with http.post(url(environment, "/vault-session"), headers=bearer(token)) as response:
            await response.read()
            return response.status
    except aiohttp.ClientError:
        return LOST


async def test_two_processes_share_one_quota(
    environment: dict[str, str],
    http: aiohttp.ClientSession,
    issuer: DevelopmentIssuer,
    apideck: ApideckEmulator,
    redis_url: str,
) -> None:
    """Of 120 concurrent requests to two processes exactly 40 are admitted and get a session."""
    fleet = fleet_of_two(environment, redis_url, "40/hour")
    token = issuer.token()
    with serving(fleet[0]), serving(fleet[1]):
        statuses = await asyncio.gather(
            *(post(http, member, token) for member in itertools.islice(itertools.cycle(fleet), 120))
        )

    assert Counter(statuses) == {201: 40, 429: 80}
    assert len(apideck.minted) == 40


async def test_a_killed_process_loses_only_its_own_requests(
    environment: dict[str, str], issuer: DevelopmentIssuer, apideck: ApideckEmulator, redis_url: str
) -> None:
    """After a SIGKILL the other process responds, and Redis has counted the admitted requests."""
    apideck.fail(Slow(0.1), times=None)
    quota = 600
    killed, other = fleet = fleet_of_two(environment, redis_url, f"{quota}/day")
    sent = request("POST", "/vault-session", issuer.token())
    exchanges: dict[str, list[Exchange]] = {member["SERVER__PORT"]: [] for member in fleet}
    of_killed, of_other = (exchanges[member["SERVER__PORT"]] for member in fleet)
    finished = asyncio.Event()

    async def client(port: str) -> None:
        while not finished.is_set():
            exchanges[port].append(await send_once(int(port), sent))
            if exchanges[port][-1].outcome == "refused":
                await asyncio.sleep(0.05)

    async def use_up_the_quota() -> None:
        while of_other[-1].status == 201:
            of_other.append(await send_once(int(other["SERVER__PORT"]), sent))

    with serving(killed) as process, serving(other):
        async with asyncio.TaskGroup() as clients:
            for port in [*exchanges] * 20:
                clients.create_task(client(port))
            await until(lambda: min(len(of_killed), len(of_other)) >= 60)
            # The event loop does not run in between, so no request starts.
            process.kill()
            process.wait()
            killed_at = time.monotonic()
            await until(lambda: len(started_after(killed_at, of_killed)) >= 60)
            await until(lambda: len(started_after(killed_at, of_other)) >= 60)
            finished.set()
        under_load = list(of_other)
        apideck.fail(Slow(0), times=None)
        await asyncio.gather(*(use_up_the_quota() for _ in range(8)))

    assert {one.status for one in under_load} == {201}
    assert {one.outcome for one in started_after(killed_at, of_killed)} == {"refused"}
    before = [one for one in of_killed if one.started_at < killed_at]
    # A refused request had started, but its connection was not open yet.
    assert {one.outcome for one in before if one.ended_at < killed_at} == {"responded"}
    assert {one.status for one in before if one.outcome == "responded"} == {201}
    broken = [one for one in before if one.outcome == "broken"]
    assert 0 < len(broken) <= 20

    assert {one.status for one in of_other} == {201, 429}
    received = [json.loads(one.body)["session_token"] for one in created(of_killed + of_other)]
    minted = {one.token for one in apideck.minted}
    assert len(set(received)) == len(received)
    assert set(received) <= minted
    assert len(minted) - len(received) <= len(broken)
    # A broken request may have been counted; a request that created a session was counted.
    assert len(minted) <= quota <= len(received) + len(broken)


async def test_a_key_is_rotated_under_load_without_a_failed_request(
    environment: dict[str, str],
    http: aiohttp.ClientSession,
    issuer: DevelopmentIssuer,
    tmp_path: Path,
) -> None:
    """The new key is used within seconds, an invalid key is not used, all requests succeed."""
    file = tmp_path / "key"
    file.write_text(FIRST_KEY)
    emulator = ApideckEmulator([FIRST_KEY, SECOND_KEY])
    statuses: list[int] = []
    finished = asyncio.Event()
    token = issuer.token()

    async def client() -> None:
        while not finished.is_set():
            statuses.append(await post(http, environment, token))

    def used(key: str) -> bool:
        return all(one.header("authorization") == f"Bearer {key}" for one in last_requests())

    def last_requests() -> list[SeenRequest]:
        return emulator.requests[-16:]

    async def invalid_key_is_reported() -> bool:
        async with http.get(url(environment, "/metrics")) as response:
            return 'key_file_failing{application="default"} 1.0' in await response.text()

    with ExitStack() as stack:
        apideck_url = stack.enter_context(emulator.serve())
        del environment["APIDECK__API_KEY"]
        environment["APIDECK__API_KEY_FILE"] = str(file)
        environment["APIDECK__BASE_URL"] = apideck_url
        environment["APIDECK__VAULT_ORIGINS"] = json.dumps([apideck_url])
        process = stack.enter_context(serving(environment))
        async with asyncio.TaskGroup() as clients:
            for _ in range(8):
                clients.create_task(client())
            await until(lambda: len(emulator.requests) > 16 and used(FIRST_KEY))
            (tmp_path / "new").write_text(SECOND_KEY)
            # In one step, like a mounted Secret: a partial key would be reported as invalid.
            (tmp_path / "new").replace(file)
            await until(
                lambda: emulator.requests[-1].header("authorization") == f"Bearer {SECOND_KEY}",
                seconds=5,
            )
            await until(lambda: used(SECOND_KEY))
            emulator.accepted = {f"Bearer {SECOND_KEY}"}
            file.write_text("two words")
            await until(invalid_key_is_reported)
            finished.set()
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=15)

    assert set(statuses) == {201}
    assert [json.loads(line)["event"] for line in out.splitlines()] == ["api_key_refused"]
    assert "two words" not in out
    assert FIRST_KEY not in out
    assert SECOND_KEY not in out
