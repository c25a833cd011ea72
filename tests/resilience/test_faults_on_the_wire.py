"""Every fault below HTTP: the response and its time, what Apideck received, and the metrics."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
import pytest

from emulators.apideck import ApideckEmulator
from emulators.issuer import DevelopmentIssuer
from tests.support import fault_proxy
from tests.support.behind import SOON, asked, behind
from tests.support.fault_proxy import Fault, FaultProxy, after_one_success
from tests.support.http import bearer, problem
from tests.support.measured import counted, promptly, sessions_requested
from tests.support.service import running, settings_for

DOWN = (503, "apideck-unavailable")
SLOW = (504, "apideck-timeout")


@dataclass(frozen=True)
class Row:
    """One fault.

    Attributes:
        fault: what happens.
        problem: the response to the caller while it lasts.
        outcome: the label of each attempt in the metrics.
        attempts: attempts for one request while it lasts: 3 if no response had started, else 1.
        minted: whether the emulator created sessions without the service learning about them.
    """

    fault: Fault
    problem: tuple[int, str]
    outcome: str
    attempts: int
    minted: bool = False


ROWS = [
    Row(fault_proxy.closes_after_accept, DOWN, "Unavailable", 3),
    Row(fault_proxy.resets_after_accept, DOWN, "Unavailable", 3),
    Row(fault_proxy.closes_after_request, DOWN, "Unavailable", 3),
    Row(fault_proxy.resets_after_request, DOWN, "Unavailable", 3),
    Row(fault_proxy.sends_no_http, DOWN, "Unavailable", 3),
    Row(fault_proxy.sends_endless_headers, DOWN, "Unavailable", 3),
    Row(fault_proxy.black_hole, SLOW, "Timeout", 3),
    Row(fault_proxy.closes_in_head, DOWN, "Unavailable", 3, minted=True),
    Row(fault_proxy.sends_two_lengths, DOWN, "Unavailable", 3, minted=True),
    Row(fault_proxy.drips_head, SLOW, "Timeout", 3, minted=True),
    Row(fault_proxy.resets_in_body, DOWN, "Unavailable", 1, minted=True),
    Row(fault_proxy.closes_in_body, DOWN, "Unavailable", 1, minted=True),
    Row(fault_proxy.drips_body, SLOW, "Timeout", 1, minted=True),
    Row(fault_proxy.sends_invalid_chunk, DOWN, "Unavailable", 1, minted=True),
]


@pytest.fixture
async def service(
    issuer: DevelopmentIssuer, proxy: FaultProxy, apideck_url: str
) -> AsyncIterator[httpx.AsyncClient]:
    """Run the service behind the proxy, with short timeouts."""
    async with running(settings_for(issuer.issuer, apideck_url, **behind(proxy.url))) as client:
        yield client


def by_fault(row: Row) -> str:
    """Return the name of a row."""
    return row.fault.__name__


@pytest.mark.parametrize("row", ROWS, ids=by_fault)
async def test_a_permanent_fault(
    service: httpx.AsyncClient,
    issuer: DevelopmentIssuer,
    apideck: ApideckEmulator,
    proxy: FaultProxy,
    row: Row,
) -> None:
    """The caller gets a response in time, after the right number of attempts."""
    proxy.fault = row.fault

    with promptly(SOON):
        response = await service.post("/vault-session", headers=bearer(issuer.token()))

    assert problem(response) == row.problem
    assert proxy.connections == row.attempts
    assert len(apideck.minted) == row.attempts * row.minted
    assert await counted(service) == asked(row.attempts, row.outcome)


@pytest.mark.parametrize("row", [row for row in ROWS if row.attempts > 1], ids=by_fault)
async def test_a_temporary_fault(
    service: httpx.AsyncClient, issuer: DevelopmentIssuer, proxy: FaultProxy, row: Row
) -> None:
    """The caller gets a session after one more attempt."""
    proxy.next_faults = [row.fault]

    with promptly(SOON):
        response = await service.post("/vault-session", headers=bearer(issuer.token()))

    assert response.status_code == 201
    assert proxy.connections == 2
    assert await counted(service) == {
        sessions_requested(row.outcome): 1,
        sessions_requested("Minted"): 1,
        'retries_total{application="default"}': 1,
    }


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        (fault_proxy.closes_after_accept, None),
        (fault_proxy.resets_after_accept, None),
        (fault_proxy.resets_after_request, "Unavailable"),
        (fault_proxy.black_hole, "Timeout"),
    ],
    ids=["closed", "reset", "reset-on-use", "half-open"],
)
async def test_a_broken_idle_connection_does_not_fail_a_request(
    service: httpx.AsyncClient,
    issuer: DevelopmentIssuer,
    apideck: ApideckEmulator,
    proxy: FaultProxy,
    fault: Fault,
    outcome: str | None,
) -> None:
    """A new one is opened: immediately if the server closed it, otherwise for a retry."""
    proxy.next_faults = [after_one_success(fault)]
    await service.post("/vault-session", headers=bearer(issuer.token()))
    if outcome is None:
        await end_of_connections(proxy)

    with promptly(SOON):
        response = await service.post("/vault-session", headers=bearer(issuer.token()))

    assert response.status_code == 201
    assert proxy.connections == 2
    assert len(apideck.minted) == 2
    failed = asked(1, outcome) if outcome else {}
    assert await counted(service) == failed | {
        sessions_requested("Minted"): 2,
        'retries_total{application="default"}': 1 if outcome else 0,
    }


async def end_of_connections(proxy: FaultProxy) -> None:
    """Wait until the proxy has closed each connection, and the service has noticed."""
    async with asyncio.timeout(20):
        while proxy.open:  # noqa: ASYNC110 - the proxy has no event for it
            await asyncio.sleep(0.01)
    for _ in range(10):
        await asyncio.sleep(0.01)


async def test_a_deadline_ends_a_longer_attempt(
    issuer: DevelopmentIssuer, proxy: FaultProxy, apideck_url: str
) -> None:
    """The caller waits until the deadline, and there is no further attempt."""
    proxy.fault = fault_proxy.black_hole
    times = behind(proxy.url, deadline_seconds=0.6, attempt_timeout_seconds=30)
    async with running(settings_for(issuer.issuer, apideck_url, **times)) as service:
        with promptly(0.6 + 2):
            response = await service.post("/vault-session", headers=bearer(issuer.token()))
        metrics = await counted(service)

    assert problem(response) == SLOW
    assert (proxy.connections, proxy.requests) == (1, 1)
    assert metrics == asked(1, "Timeout")


async def test_many_callers_all_get_a_response_in_time_when_apideck_does_not_respond(
    issuer: DevelopmentIssuer, proxy: FaultProxy, apideck_url: str
) -> None:
    """A hundred concurrent callers wait for an attempt or two, later ones not at all."""
    proxy.fault = fault_proxy.black_hole
    settings = settings_for(
        issuer.issuer, apideck_url, **behind(proxy.url, breaker={"open_seconds": 300})
    )
    async with running(settings) as service:

        async def ask(count: int) -> set[tuple[int, str]]:
            tokens = [issuer.token(sub=f"person-{number}") for number in range(count)]
            with promptly(SOON):
                responses = await asyncio.gather(
                    *(service.post("/vault-session", headers=bearer(token)) for token in tokens)
                )
            return {problem(response) for response in responses}

        first = await ask(100)
        before = proxy.requests
        second = await ask(50)
        names = ("requests_total", "retries_total", "not_asked_total", "breaker_state")
        metrics = await counted(service, *names)

    assert SLOW in first <= {SLOW, DOWN}
    assert second == {DOWN}
    assert proxy.requests == before <= 100 * 1.1 + 10
    assert metrics[sessions_requested("Timeout")] == before
    assert metrics['retries_total{application="default"}'] <= 100 * 0.1 + 10
    assert metrics['not_asked_total{application="default"}'] >= 50
    assert metrics['breaker_state{application="default"}'] == 2
