"""Every fault below HTTP: the response, its time, Apideck's requests, and the metrics."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
import pytest

from emulators.apideck import ApideckEmulator
from emulators.issuer import DevelopmentIssuer
from tests.support import fault_proxy
from tests.support.fault_proxy import Fault, FaultProxy, after_one_success
from tests.support.http import bearer, problem
from tests.support.measured import apideck_metrics, sessions_requested, takes_less_than
from tests.support.service import running, settings_for
from tests.support.short_timeouts import RESPONSE_SECONDS, apideck_at, metrics_after

DOWN = (503, "apideck-unavailable")
SLOW = (504, "apideck-timeout")


@dataclass(frozen=True)
class Row:
    """One fault.

    Attributes:
        fault: the fault.
        problem: the response to the caller while the fault lasts.
        outcome: the label of each attempt in the metrics.
        attempts: attempts for one request: 3 if no response had started, else 1.
        minted: whether the emulator created sessions whose response did not reach the service.
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
    """Run the service with the proxy in front of Apideck, and with short timeouts."""
    async with running(settings_for(issuer.issuer, apideck_url, **apideck_at(proxy.url))) as client:
        yield client


def fault_name(row: Row) -> str:
    """Return the name of a row's fault."""
    return row.fault.__name__


@pytest.mark.parametrize("row", ROWS, ids=fault_name)
async def test_a_permanent_fault_is_one_problem_after_the_expected_attempts(
    service: httpx.AsyncClient,
    issuer: DevelopmentIssuer,
    apideck: ApideckEmulator,
    proxy: FaultProxy,
    row: Row,
) -> None:
    """The caller gets the problem in time, after the expected number of attempts."""
    proxy.fault = row.fault

    with takes_less_than(RESPONSE_SECONDS):
        response = await service.post("/vault-session", headers=bearer(issuer.token()))

    assert problem(response) == row.problem
    assert proxy.connections == row.attempts
    assert len(apideck.minted) == row.attempts * row.minted
    assert await apideck_metrics(service) == metrics_after(row.attempts, row.outcome)


@pytest.mark.parametrize("row", [row for row in ROWS if row.attempts > 1], ids=fault_name)
async def test_a_temporary_fault_is_retried_successfully(
    service: httpx.AsyncClient, issuer: DevelopmentIssuer, proxy: FaultProxy, row: Row
) -> None:
    """The caller gets a session after one more attempt."""
    proxy.next_faults = [row.fault]

    with takes_less_than(RESPONSE_SECONDS):
        response = await service.post("/vault-session", headers=bearer(issuer.token()))

    assert response.status_code == 201
    assert proxy.connections == 2
    assert await apideck_metrics(service) == {
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
    """A new one is opened: immediately if the server has closed the old one, else for a retry."""
    proxy.next_faults = [after_one_success(fault)]
    await service.post("/vault-session", headers=bearer(issuer.token()))
    if outcome is None:
        await wait_until_closed(proxy)

    with takes_less_than(RESPONSE_SECONDS):
        response = await service.post("/vault-session", headers=bearer(issuer.token()))

    assert response.status_code == 201
    assert proxy.connections == 2
    assert len(apideck.minted) == 2
    failed = metrics_after(1, outcome) if outcome else {}
    assert await apideck_metrics(service) == failed | {
        sessions_requested("Minted"): 2,
        'retries_total{application="default"}': 1 if outcome else 0,
    }


async def wait_until_closed(proxy: FaultProxy) -> None:
    """Wait until the proxy has closed all connections, and the service has detected it."""
    async with asyncio.timeout(20):
        while proxy.open:  # noqa: ASYNC110 - the proxy has no event for this
            await asyncio.sleep(0.01)
    for _ in range(10):
        await asyncio.sleep(0.01)


async def test_a_deadline_ends_a_longer_attempt(
    issuer: DevelopmentIssuer, proxy: FaultProxy, apideck_url: str
) -> None:
    """The caller gets a timeout at the deadline, and there is no further attempt."""
    proxy.fault = fault_proxy.black_hole
    timeouts = apideck_at(proxy.url, deadline_seconds=0.6, attempt_timeout_seconds=30)
    async with running(settings_for(issuer.issuer, apideck_url, **timeouts)) as service:
        with takes_less_than(0.6 + 2):
            response = await service.post("/vault-session", headers=bearer(issuer.token()))
        metrics = await apideck_metrics(service)

    assert problem(response) == SLOW
    assert (proxy.connections, proxy.requests) == (1, 1)
    assert metrics == metrics_after(1, "Timeout")


async def test_all_callers_get_a_response_in_time_if_apideck_does_not_respond(
    issuer: DevelopmentIssuer, proxy: FaultProxy, apideck_url: str
) -> None:
    """The first 100 callers get a 504 or a 503; later ones get a 503 without a call to Apideck."""
    proxy.fault = fault_proxy.black_hole
    settings = settings_for(
        issuer.issuer, apideck_url, **apideck_at(proxy.url, breaker={"open_seconds": 300})
    )
    async with running(settings) as service:

        async def request_sessions(count: int) -> set[tuple[int, str]]:
            tokens = [issuer.token(sub=f"person-{number}") for number in range(count)]
            with takes_less_than(RESPONSE_SECONDS):
                responses = await asyncio.gather(
                    *(service.post("/vault-session", headers=bearer(token)) for token in tokens)
                )
            return {problem(response) for response in responses}

        first = await request_sessions(100)
        before = proxy.requests
        second = await request_sessions(50)
        names = ("requests_total", "retries_total", "not_asked_total", "breaker_state")
        metrics = await apideck_metrics(service, *names)

    assert SLOW in first <= {SLOW, DOWN}
    assert second == {DOWN}
    assert proxy.requests == before <= 100 * 1.1 + 10
    assert metrics[sessions_requested("Timeout")] == before
    assert metrics['retries_total{application="default"}'] <= 100 * 0.1 + 10
    assert metrics['not_asked_total{application="default"}'] >= 50
    assert metrics['breaker_state{application="default"}'] == 2
