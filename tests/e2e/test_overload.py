"""The process with more requests than it has slots for."""

import asyncio
import json
import time
from contextlib import AsyncExitStack

import pytest

from emulators.apideck import ApideckEmulator
from emulators.apideck.faults import Slow
from emulators.issuer import DevelopmentIssuer
from tests.support.process import environment_for, serving
from tests.support.raw import Client, Exchange, percentile, request, send_once

pytestmark = pytest.mark.serial

# Apideck is slow and there are few requests, so the delays of a busy machine are relatively small.
SLOTS, UPSTREAM_SECONDS, MAX_WAIT_SECONDS = 8, 0.3, 0.5
PER_SECOND = SLOTS / UPSTREAM_SECONDS
ROUNDS, ARRIVALS_SECONDS, WARM_UP_SECONDS = 10, 9.0, 1.0
NOISE_SECONDS = 1.0
"""The delay that a busy machine may add to any response."""

RECOVERY_SECONDS = 10.0


@pytest.fixture
def environment(
    issuer: DevelopmentIssuer, apideck: ApideckEmulator, apideck_url: str, unused_tcp_port: int
) -> dict[str, str]:
    """Return the environment of a service with few slots and without other limits."""
    apideck.fail(Slow(UPSTREAM_SECONDS), times=None)
    return {
        **environment_for(issuer.issuer, apideck_url, unused_tcp_port),
        "LIMITS__MAX_IN_FLIGHT": str(SLOTS),
        "LIMITS__MAX_WAIT_SECONDS": str(MAX_WAIT_SECONDS),
        "LIMITS__PER_USER": "unlimited",
        "SESSION__JOIN_IDENTICAL": "false",
        # Nothing reads the log.
        "LOG__LEVEL": "error",
    }


async def closed_loop(port: int, sent: bytes, rounds: int) -> float:
    """Keep one client for each slot busy; return the number of sessions a second."""

    async def keep_busy() -> list[Exchange]:
        async with Client(port) as client:
            return [await client.send(sent) for _ in range(rounds)]

    started = time.monotonic()
    exchanges = await asyncio.gather(*(keep_busy() for _ in range(SLOTS)))
    seconds = time.monotonic() - started
    return sum(one.status == 201 for of_client in exchanges for one in of_client) / seconds


class Arrivals:
    """Requests that arrive at a constant rate, even if earlier requests have not finished."""

    def __init__(self, port: int, sent: bytes) -> None:
        self.exchanges: list[Exchange] = []
        self._port, self._sent_bytes = port, sent
        self._free: list[Client] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, per_second: float, seconds: float) -> float:
        """Send requests for this many seconds; return the time at which the first was sent."""
        started = time.monotonic()
        for number in range(int(per_second * seconds)):
            await asyncio.sleep(max(0.0, started + number / per_second - time.monotonic()))
            self._tasks.add(asyncio.create_task(self._send()))
        return started

    async def finish(self) -> None:
        """Wait until all requests have ended."""
        await asyncio.gather(*self._tasks)
        async with AsyncExitStack() as stack:
            for client in self._free:
                await stack.enter_async_context(client)

    async def _send(self) -> None:
        client = self._free.pop() if self._free else Client(self._port)
        self.exchanges.append(await client.send(self._sent_bytes))
        self._free.append(client)


async def requests_until_recovered(port: int, sent: bytes) -> list[Exchange]:
    """Request sessions one after another, until one is created within a second."""
    exchanges: list[Exchange] = []
    deadline = time.monotonic() + RECOVERY_SECONDS
    while time.monotonic() < deadline:
        exchanges.append(await send_once(port, sent))
        if exchanges[-1].status == 201 and exchanges[-1].seconds < 1:
            break
    return exchanges


async def test_throughput_stays_above_90_percent_at_three_times_the_capacity(
    environment: dict[str, str], issuer: DevelopmentIssuer
) -> None:
    """Excess requests are rejected, and the service recovers afterwards."""
    port, sent = int(environment["SERVER__PORT"]), request("POST", "/vault-session", issuer.token())
    with serving(environment):
        await closed_loop(port, sent, 1)
        capacity = await closed_loop(port, sent, ROUNDS)
        arrivals = Arrivals(port, sent)
        started = await arrivals.start(3 * PER_SECOND, ARRIVALS_SECONDS)
        ended = time.monotonic()
        afterwards = await requests_until_recovered(port, sent)
        await arrivals.finish()
        page = await send_once(port, request("GET", "/metrics"))

    first = started + WARM_UP_SECONDS
    half = started + (WARM_UP_SECONDS + ARRIVALS_SECONDS) / 2
    served = [one for one in arrivals.exchanges if one.status == 201]
    in_time = [one for one in served if first <= one.ended_at < ended]
    before = percentile((one.seconds for one in in_time if one.ended_at < half), 0.99)
    after = percentile((one.seconds for one in in_time if one.ended_at >= half), 0.99)
    assert PER_SECOND / 2 < capacity <= PER_SECOND
    assert len(in_time) >= 0.9 * capacity * (ended - first)
    assert after <= 1.5 * before + NOISE_SECONDS / 2
    assert max(before, after) < MAX_WAIT_SECONDS + UPSTREAM_SECONDS + NOISE_SECONDS
    assert (afterwards[-1].status, afterwards[-1].seconds < 1) == (201, True)

    rejected = [one for one in arrivals.exchanges + afterwards if one.status != 201]
    assert len(rejected) > PER_SECOND
    for one in rejected:
        assert (one.status, one.headers["retry-after"]) == (503, "1")
        assert json.loads(one.body)["type"].rpartition("/")[2] == "overloaded"
    shed = f'\nvault_bff_requests_shed_total{{queue="sessions"}} {len(rejected)}.0\n'
    assert shed in page.body.decode()
