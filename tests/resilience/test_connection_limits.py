"""Slow, failing or too many requests for connections do not affect sessions."""

import asyncio
from typing import Any

import httpx
import pytest

from emulators.apideck import ApideckEmulator, faults
from emulators.apideck.faults import Broken
from emulators.issuer import DevelopmentIssuer
from tests.support.http import bearer, problem
from tests.support.measured import apideck_metrics
from tests.support.service import APP_ID, running, settings_for

LIST = "/vault-connections"
XERO = f"{LIST}/accounting/xero"


class Client:
    """A client of the service that can act as several people."""

    def __init__(self, service: httpx.AsyncClient, issuer: DevelopmentIssuer) -> None:
        self.service = service
        self._issuer = issuer

    async def read(self, path: str = LIST, person: str = "ada") -> httpx.Response:
        """Request a list of connections, or one connection."""
        return await self.service.get(path, headers=bearer(self._issuer.token(person)))

    async def session(self, person: str = "ada") -> httpx.Response:
        """Request a session."""
        return await self.service.post("/vault-session", headers=bearer(self._issuer.token(person)))


def limits(**connections: Any) -> dict[str, Any]:
    """Return limits for requests for connections."""
    return {"limits": {"connections": connections}}


async def test_a_caller_who_polls_connections_still_gets_sessions(
    issuer: DevelopmentIssuer, apideck: ApideckEmulator, apideck_url: str
) -> None:
    """Lists and sessions have separate limits with separate headers."""
    settings = settings_for(
        issuer.issuer,
        apideck_url,
        limits={"per_user": "2/hour", "connections": {"per_user": "3/hour"}},
    )
    async with running(settings) as service:
        client = Client(service, issuer)
        reads = [await client.read() for _ in range(4)]
        sessions = [await client.session() for _ in range(3)]
        metrics = (await service.get("/metrics")).text

    assert [one.status_code for one in reads] == [200, 200, 200, 429]
    assert [one.status_code for one in sessions] == [201, 201, 429]
    assert problem(reads[-1]) == (429, "rate-limited")
    assert int(reads[-1].headers["retry-after"]) > 0
    assert '"connections-user";q=3;w=3600' in reads[0].headers["ratelimit-policy"]
    assert sessions[0].headers["ratelimit-policy"] == '"user";q=2;w=3600'
    assert 'rate_limited_total{policy="connections-user"} 1.0' in metrics
    assert 'rate_limited_total{policy="user"} 1.0' in metrics
    assert len(apideck.requests) == 5


async def test_callers_of_a_consumer_share_a_limit(
    issuer: DevelopmentIssuer, apideck: ApideckEmulator, apideck_url: str
) -> None:
    """The people of one customer cannot use up the plan; other customers are not affected."""
    settings = settings_for(issuer.issuer, apideck_url, **limits(per_consumer="3/hour"))
    async with running(settings) as service:
        client = Client(service, issuer)
        reads = [await client.read(LIST, person) for person in ("ada", "grace", "ada", "grace")]
        other = await client.read(LIST, "otto")
        session = await client.session("ada")

    assert [one.status_code for one in reads] == [200, 200, 200, 429]
    assert (other.status_code, session.status_code) == (200, 201)
    assert '"connections-consumer";r=0;' in reads[-1].headers["ratelimit"]
    assert len(apideck.requests) == 5


async def test_all_requests_for_connections_can_be_limited(
    issuer: DevelopmentIssuer, apideck_url: str
) -> None:
    """The total limit bounds the cost of lists for the plan, and does not apply to sessions."""
    settings = settings_for(issuer.issuer, apideck_url, **limits(total="2/hour"))
    async with running(settings) as service:
        client = Client(service, issuer)
        reads = [await client.read(LIST, person) for person in ("ada", "otto", "grace")]
        session = await client.session("grace")

    assert [one.status_code for one in reads] == [200, 200, 429]
    assert session.status_code == 201


@pytest.mark.parametrize("fault", [faults.error(503), Broken("hang"), faults.whole(b"null")])
async def test_failures_of_lists_do_not_block_sessions(
    issuer: DevelopmentIssuer, apideck: ApideckEmulator, apideck_url: str, fault: faults.Fault
) -> None:
    """Each operation has a separate circuit breaker and a separate retry budget."""
    apideck.connect(APP_ID, "acme", "accounting", "xero")
    settings = settings_for(
        issuer.issuer,
        apideck_url,
        apideck={
            "deadline_seconds": 0.3,
            "retries": {"max_attempts": 2, "budget_reserve": 2, "base_delay_seconds": 0.01},
            "breaker": {"min_requests": 4, "open_seconds": 300},
        },
    )
    apideck.fail_connections(fault)
    async with running(settings) as service:
        client = Client(service, issuer)
        reads = [await client.read() for _ in range(6)]
        list_requests = len(apideck.requests)
        sessions = [await client.session() for _ in range(6)]
        # One retry of a session is still within its own budget.
        apideck.fail(faults.error(503))
        retried = await client.session()
        metrics = await apideck_metrics(service, "breaker_state")

    assert all(one.status_code >= 500 for one in reads)
    assert list_requests <= 5
    assert {one.status_code for one in (*sessions, retried)} == {201}
    assert metrics == {'breaker_state{application="default"}': 2}


async def test_failures_of_sessions_do_not_block_lists(
    issuer: DevelopmentIssuer, apideck: ApideckEmulator, apideck_url: str
) -> None:
    """The breaker of sessions opens, and lists are still requested."""
    settings = settings_for(
        issuer.issuer,
        apideck_url,
        apideck={
            "retries": {"max_attempts": 1},
            "breaker": {"min_requests": 2, "open_seconds": 300},
        },
    )
    apideck.fail(faults.error(503), times=None)
    async with running(settings) as service:
        client = Client(service, issuer)
        sessions = [await client.session() for _ in range(3)]
        read = await client.read()

    assert {one.status_code for one in sessions} == {503}
    assert read.status_code == 200


async def test_slow_lists_do_not_use_the_slots_of_sessions(
    issuer: DevelopmentIssuer, apideck: ApideckEmulator, apideck_url: str
) -> None:
    """While a list that hangs occupies the only slot for lists, sessions are admitted."""
    settings = settings_for(
        issuer.issuer,
        apideck_url,
        apideck={"deadline_seconds": 60, "attempt_timeout_seconds": 60},
        limits={
            "max_in_flight": 1,
            "max_waiting": 0,
            "connections": {"max_in_flight": 1, "max_waiting": 0},
        },
    )
    apideck.fail_connections(Broken("hang"))
    async with running(settings) as service:
        client = Client(service, issuer)
        slow = asyncio.create_task(client.read())
        async with asyncio.timeout(20):
            while not apideck.requests:  # noqa: ASYNC110 - it is not an event
                await asyncio.sleep(0.005)
        rejected = await client.read(XERO)
        session = await client.session()
        slow.cancel()
        await asyncio.gather(slow, return_exceptions=True)

    assert problem(rejected) == (503, "overloaded")
    assert session.status_code == 201


async def test_a_list_of_4_mib_is_returned_and_a_larger_one_is_rejected(
    issuer: DevelopmentIssuer, apideck: ApideckEmulator, apideck_url: str
) -> None:
    """The limit on the response is larger for lists than for sessions."""
    async with running(settings_for(issuer.issuer, apideck_url)) as service:
        client = Client(service, issuer)
        apideck.connect(APP_ID, "acme", "accounting", "xero")
        apideck.fail_connections(faults.oversized(4_100_000))
        large = await client.read()
        apideck.fail_connections(faults.oversized(4_200_000))
        larger = await client.read()
        apideck.fail(faults.oversized(100_000))
        session = await client.session()

    assert large.status_code == 200
    assert problem(larger) == problem(session) == (502, "apideck-invalid-response")


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (faults.error(401), (502, "apideck-misconfigured")),
        (faults.error(402), (503, "apideck-quota-exhausted")),
        (faults.error(422), (502, "apideck-rejected-request")),
        (faults.rate_limited("120"), (503, "apideck-rate-limited")),
        (faults.html(502), (503, "apideck-unavailable")),
        (faults.truncated(), (502, "apideck-invalid-response")),
        (faults.without_data(), (502, "apideck-invalid-response")),
        (faults.compressed(), (502, "apideck-invalid-response")),
        (faults.redirect("https://evil.example"), (502, "apideck-misconfigured")),
        (Broken("reset"), (503, "apideck-unavailable")),
        (Broken("hang"), (504, "apideck-timeout")),
    ],
)
@pytest.mark.parametrize("path", [LIST, XERO])
async def test_failures_result_in_the_same_problems_as_for_sessions(
    issuer: DevelopmentIssuer,
    apideck: ApideckEmulator,
    apideck_url: str,
    fault: faults.Fault,
    expected: tuple[int, str],
    path: str,
) -> None:
    """Each failure of Apideck results in one problem, for lists and for single connections."""
    apideck.connect(APP_ID, "acme", "accounting", "xero")
    apideck.fail_connections(fault)
    settings = settings_for(
        issuer.issuer,
        apideck_url,
        apideck={"deadline_seconds": 0.5, "retries": {"base_delay_seconds": 0.01}},
    )
    async with running(settings) as service:
        response = await Client(service, issuer).read(path)

    assert problem(response) == expected
