"""The process itself, asked for more than it has places for."""

import asyncio
import json
import time
from contextlib import AsyncExitStack

import pytest

from emulators.apideck import ApideckEmulator
from emulators.apideck.faults import Slow
from emulators.issuer import DevelopmentIssuer
from tests.support.callers import Asked, Caller, ask_once, percentile, request
from tests.support.process import environment_for, serving

pytestmark = pytest.mark.serial

# Long upstream, and few a second: what a busy machine adds to a request is little beside it.
PLACES, UPSTREAM_SECONDS, MAX_WAIT_SECONDS = 8, 0.3, 0.5
PER_SECOND = PLACES / UPSTREAM_SECONDS
ROUNDS, ARRIVALS_SECONDS, LEFT_OUT_SECONDS = 10, 9.0, 1.0
NOISE_SECONDS = 1.0
"""What a machine that others use may add to any answer."""

RECOVERY_SECONDS = 10.0


@pytest.fixture
def environment(
    issuer: DevelopmentIssuer, apideck: ApideckEmulator, apideck_url: str, unused_tcp_port: int
) -> dict[str, str]:
    """Return the environment of a service that has few places, and limits nobody otherwise."""
    apideck.fail(Slow(UPSTREAM_SECONDS), times=None)
    return {
        **environment_for(issuer.issuer, apideck_url, unused_tcp_port),
        "LIMITS__MAX_IN_FLIGHT": str(PLACES),
        "LIMITS__MAX_WAIT_SECONDS": str(MAX_WAIT_SECONDS),
        "LIMITS__PER_USER": "unlimited",
        "SESSION__JOIN_IDENTICAL": "false",
        # Nobody reads along, and a pipe that is full would stop the service.
        "LOG__LEVEL": "error",
    }


async def closed_loop(port: int, sent: bytes, rounds: int) -> float:
    """Have one caller for each place ask so many times; return how many a second got a session."""

    async def ask_again_and_again() -> list[Asked]:
        async with Caller(port) as caller:
            return [await caller.ask(sent) for _ in range(rounds)]

    begun = time.monotonic()
    asked = await asyncio.gather(*(ask_again_and_again() for _ in range(PLACES)))
    seconds = time.monotonic() - begun
    return sum(one.status == 201 for of_one in asked for one in of_one) / seconds


class Crowd:
    """Callers who come at a pace of their own, whatever becomes of those before them."""

    def __init__(self, port: int, sent: bytes) -> None:
        self.asked: list[Asked] = []
        self._port, self._sent = port, sent
        self._free: list[Caller] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def come(self, per_second: float, seconds: float) -> float:
        """Have them come for so long; return when the first of them did."""
        begun = time.monotonic()
        for number in range(int(per_second * seconds)):
            await asyncio.sleep(max(0.0, begun + number / per_second - time.monotonic()))
            self._tasks.add(asyncio.create_task(self._ask()))
        return begun

    async def leave(self) -> None:
        """Wait until all have been answered."""
        await asyncio.gather(*self._tasks)
        async with AsyncExitStack() as stack:
            for caller in self._free:
                await stack.enter_async_context(caller)

    async def _ask(self) -> None:
        caller = self._free.pop() if self._free else Caller(self._port)
        self.asked.append(await caller.ask(self._sent))
        self._free.append(caller)


async def probes_until_well(port: int, sent: bytes) -> list[Asked]:
    """Ask for one session after the other, until one comes soon or it has been tried for long."""
    probes: list[Asked] = []
    deadline = time.monotonic() + RECOVERY_SECONDS
    while time.monotonic() < deadline:
        probes.append(await ask_once(port, sent))
        if probes[-1].status == 201 and probes[-1].seconds < 1:
            break
    return probes


async def test_three_times_the_capacity_costs_hardly_any_of_it(
    environment: dict[str, str], issuer: DevelopmentIssuer
) -> None:
    """What cannot be served is refused; what is served stays nine tenths, and then all is well."""
    port, sent = int(environment["SERVER__PORT"]), request("POST", "/vault-session", issuer.token())
    with serving(environment):
        await closed_loop(port, sent, 1)
        capacity = await closed_loop(port, sent, ROUNDS)
        crowd = Crowd(port, sent)
        begun = await crowd.come(3 * PER_SECOND, ARRIVALS_SECONDS)
        over = time.monotonic()
        probes = await probes_until_well(port, sent)
        await crowd.leave()
        page = await ask_once(port, request("GET", "/metrics"))

    first, half = begun + LEFT_OUT_SECONDS, begun + (LEFT_OUT_SECONDS + ARRIVALS_SECONDS) / 2
    served = [one for one in crowd.asked if one.status == 201]
    while_they_came = [one for one in served if first <= one.ended < over]
    before = percentile((one.seconds for one in while_they_came if one.ended < half), 0.99)
    after = percentile((one.seconds for one in while_they_came if one.ended >= half), 0.99)
    assert PER_SECOND / 2 < capacity <= PER_SECOND
    assert len(while_they_came) >= 0.9 * capacity * (over - first)
    assert after <= 1.5 * before + NOISE_SECONDS / 2
    assert max(before, after) < MAX_WAIT_SECONDS + UPSTREAM_SECONDS + NOISE_SECONDS
    assert (probes[-1].status, probes[-1].seconds < 1) == (201, True)

    refused = [one for one in crowd.asked + probes if one.status != 201]
    assert len(refused) > PER_SECOND
    for one in refused:
        assert (one.status, one.header("retry-after")) == (503, "1")
        assert json.loads(one.body)["type"].rpartition("/")[2] == "overloaded"
    assert f"\nvault_bff_requests_shed_total {len(refused)}.0\n" in page.body.decode()
