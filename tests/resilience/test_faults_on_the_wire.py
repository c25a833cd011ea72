"""Every fault below HTTP: what the caller gets and when, what Apideck saw, what the metrics say."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from emulators.apideck import ApideckEmulator
from emulators.issuer import DevelopmentIssuer
from tests.support import fault_proxy
from tests.support.fault_proxy import Fault, FaultProxy, once_good
from tests.support.http import bearer, problem
from tests.support.measured import counted, promptly
from tests.support.service import running, settings_for

ATTEMPT_SECONDS = 1.0
DEADLINE_SECONDS = 5.0
SOON = DEADLINE_SECONDS + 2.0
"""Seconds within which a caller must have an answer: the deadline, and what a busy machine adds."""

DOWN = (503, "apideck-unavailable")
SLOW = (504, "apideck-timeout")


@dataclass(frozen=True)
class Row:
    """One fault.

    Attributes:
        fault: what happens.
        lasting: what the caller is answered while it lasts.
        outcome: what each attempt counts as.
        attempts: requests that are made of one caller's while it lasts: 3 where no answer had
            begun, and 1 where it had.
        minted: whether the emulator minted, of which the service then knew nothing.
    """

    fault: Fault
    lasting: tuple[int, str]
    outcome: str
    attempts: int
    minted: bool = False


ROWS = [
    Row(fault_proxy.closes_after_accept, DOWN, "Unavailable", 3),
    Row(fault_proxy.resets_after_accept, DOWN, "Unavailable", 3),
    Row(fault_proxy.closes_after_request, DOWN, "Unavailable", 3),
    Row(fault_proxy.resets_after_request, DOWN, "Unavailable", 3),
    Row(fault_proxy.speaks_no_http, DOWN, "Unavailable", 3),
    Row(fault_proxy.sends_endless_headers, DOWN, "Unavailable", 3),
    Row(fault_proxy.black_hole, SLOW, "Timeout", 3),
    Row(fault_proxy.closes_in_head, DOWN, "Unavailable", 3, minted=True),
    Row(fault_proxy.contradicts_itself, DOWN, "Unavailable", 3, minted=True),
    Row(fault_proxy.drips_head, SLOW, "Timeout", 3, minted=True),
    Row(fault_proxy.resets_in_body, DOWN, "Unavailable", 1, minted=True),
    Row(fault_proxy.closes_in_body, DOWN, "Unavailable", 1, minted=True),
    Row(fault_proxy.drips_body, SLOW, "Timeout", 1, minted=True),
    Row(fault_proxy.breaks_off_chunks, DOWN, "Unavailable", 1, minted=True),
]


@pytest.fixture
async def proxy(apideck: ApideckEmulator, apideck_url: str) -> AsyncIterator[FaultProxy]:
    """Run a fault proxy before the emulator."""
    assert apideck.requests == []
    async with FaultProxy(apideck_url).serve() as proxy:
        yield proxy


@pytest.fixture
async def service(
    issuer: DevelopmentIssuer, proxy: FaultProxy, apideck_url: str
) -> AsyncIterator[httpx.AsyncClient]:
    """Run the service behind the proxy, with times that tests can afford."""
    async with running(settings_for(issuer.issuer, apideck_url, **behind(proxy.url))) as client:
        yield client


def behind(url: str) -> dict[str, Any]:
    """Return the settings of a service that asks this URL."""
    return {
        "apideck": {
            "base_url": url,
            "deadline_seconds": DEADLINE_SECONDS,
            "attempt_timeout_seconds": ATTEMPT_SECONDS,
            "retries": {"base_delay_seconds": 0.001},
        }
    }


def by_fault(row: Row) -> str:
    """Return a row's name."""
    return row.fault.__name__


@pytest.mark.parametrize("row", ROWS, ids=by_fault)
async def test_a_fault_that_lasts(
    service: httpx.AsyncClient,
    issuer: DevelopmentIssuer,
    apideck: ApideckEmulator,
    proxy: FaultProxy,
    row: Row,
) -> None:
    """The caller is told in time, and Apideck is asked so often and no more."""
    proxy.lasting = row.fault

    with promptly(SOON):
        answer = await service.post("/vault-session", headers=bearer(issuer.token()))

    assert problem(answer) == row.lasting
    assert proxy.connections == row.attempts
    assert len(apideck.minted) == row.attempts * row.minted
    assert await counted(service) == {
        f'requests_total{{application="default",outcome="{row.outcome}"}}': row.attempts,
        'retries_total{application="default"}': row.attempts - 1,
    }


@pytest.mark.parametrize("row", [row for row in ROWS if row.attempts > 1], ids=by_fault)
async def test_a_fault_that_passes(
    service: httpx.AsyncClient, issuer: DevelopmentIssuer, proxy: FaultProxy, row: Row
) -> None:
    """The caller has a session after one more attempt, and never knows."""
    proxy.coming = [row.fault]

    with promptly(SOON):
        answer = await service.post("/vault-session", headers=bearer(issuer.token()))

    assert answer.status_code == 201
    assert proxy.connections == 2
    assert await counted(service) == {
        f'requests_total{{application="default",outcome="{row.outcome}"}}': 1,
        'requests_total{application="default",outcome="Minted"}': 1,
        'retries_total{application="default"}': 1,
    }


@pytest.mark.parametrize(
    "fault",
    [
        fault_proxy.closes_after_accept,
        fault_proxy.resets_after_accept,
        fault_proxy.resets_after_request,
        fault_proxy.black_hole,
    ],
    ids=["closed", "reset", "reset-on-use", "half-open"],
)
async def test_a_kept_connection_that_has_died_costs_the_caller_nothing(
    service: httpx.AsyncClient, issuer: DevelopmentIssuer, proxy: FaultProxy, fault: Fault
) -> None:
    """Whether the other side said so, or vanished without a word, a new connection is made."""
    proxy.coming = [once_good(fault)]
    await service.post("/vault-session", headers=bearer(issuer.token()))

    with promptly(SOON):
        answer = await service.post("/vault-session", headers=bearer(issuer.token()))

    assert answer.status_code == 201
    assert proxy.connections == 2


async def test_no_connection_at_all_ends_with_the_deadline(
    issuer: DevelopmentIssuer, apideck: ApideckEmulator, apideck_url: str
) -> None:
    """A firewall that drops everything costs the caller no more than the deadline."""
    with fault_proxy.never_accepts() as url:
        settings = settings_for(issuer.issuer, apideck_url, **behind(url))
        async with running(settings) as service:
            with promptly(SOON):
                answer = await service.post("/vault-session", headers=bearer(issuer.token()))
            metrics = await counted(service)

    assert problem(answer) == SLOW
    assert metrics['requests_total{application="default",outcome="Timeout"}'] == 3
    assert apideck.requests == []


async def test_a_deadline_that_is_shorter_than_an_attempt_ends_it(
    issuer: DevelopmentIssuer, proxy: FaultProxy, apideck_url: str
) -> None:
    """Of a long attempt the caller waits for as much as the deadline is, and there is no other."""
    proxy.lasting = fault_proxy.black_hole
    times = behind(proxy.url)
    times["apideck"] |= {"deadline_seconds": 0.6, "attempt_timeout_seconds": 30}
    async with running(settings_for(issuer.issuer, apideck_url, **times)) as service:
        with promptly(15):
            answer = await service.post("/vault-session", headers=bearer(issuer.token()))
        metrics = await counted(service)

    assert problem(answer) == SLOW
    assert metrics == {
        'requests_total{application="default",outcome="Timeout"}': 1,
        'retries_total{application="default"}': 0,
    }


async def test_many_callers_in_a_black_hole_all_hear_in_time(
    service: httpx.AsyncClient, issuer: DevelopmentIssuer, proxy: FaultProxy
) -> None:
    """A hundred at once are answered in time, most of them without Apideck being asked again."""
    proxy.lasting = fault_proxy.black_hole
    tokens = [issuer.token(sub=f"person-{number}") for number in range(100)]

    with promptly(SOON):
        answers = await asyncio.gather(
            *(service.post("/vault-session", headers=bearer(token)) for token in tokens)
        )

    assert {problem(answer) for answer in answers} <= {SLOW, DOWN}
    assert proxy.requests <= 100 * 1.1 + 10
