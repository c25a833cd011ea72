"""Requests for connections that are slow, fail or are too many leave sessions unharmed."""

import asyncio
from typing import Any

import httpx
import pytest

from emulators.apideck import ApideckEmulator, faults
from emulators.apideck.faults import Broken
from emulators.issuer import DevelopmentIssuer
from tests.support.http import bearer, problem
from tests.support.measured import counted
from tests.support.service import APP_ID, running, settings_for

LIST = "/vault-connections"
XERO = f"{LIST}/accounting/xero"


class Scene:
    """A service, and callers of it."""

    def __init__(self, service: httpx.AsyncClient, issuer: DevelopmentIssuer) -> None:
        self.service = service
        self._issuer = issuer

    async def read(self, path: str = LIST, person: str = "ada") -> httpx.Response:
        """Request connections."""
        return await self.service.get(path, headers=bearer(self._issuer.token(person)))

    async def session(self, person: str = "ada") -> httpx.Response:
        """Request a session."""
        return await self.service.post("/vault-session", headers=bearer(self._issuer.token(person)))


def limits(**connections: Any) -> dict[str, Any]:
    """Return limits for requests for connections."""
    return {"limits": {"connections": connections}}


async def test_a_caller_who_polls_still_gets_sessions(
    issuer: DevelopmentIssuer, apideck: ApideckEmulator, apideck_url: str
) -> None:
    """The limits are apart, and so are their headers; the other way round it is the same."""
    settings = settings_for(
        issuer.issuer,
        apideck_url,
        limits={"per_user": "2/hour", "connections": {"per_user": "3/hour"}},
    )
    async with running(settings) as service:
        scene = Scene(service, issuer)
        reads = [await scene.read() for _ in range(4)]
        sessions = [await scene.session() for _ in range(3)]
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


async def test_a_consumer_has_a_limit_that_its_callers_share(
    issuer: DevelopmentIssuer, apideck: ApideckEmulator, apideck_url: str
) -> None:
    """Many people of one customer cannot use up the plan; another customer is not affected."""
    settings = settings_for(issuer.issuer, apideck_url, **limits(per_consumer="3/hour"))
    async with running(settings) as service:
        scene = Scene(service, issuer)
        reads = [await scene.read(LIST, person) for person in ("ada", "grace", "ada", "grace")]
        other = await scene.read(LIST, "otto")
        session = await scene.session("ada")

    assert [one.status_code for one in reads] == [200, 200, 200, 429]
    assert (other.status_code, session.status_code) == (200, 201)
    assert '"connections-consumer";r=0;' in reads[-1].headers["ratelimit"]
    assert len(apideck.requests) == 5


async def test_all_requests_for_connections_can_be_limited(
    issuer: DevelopmentIssuer, apideck_url: str
) -> None:
    """A limit for all callers together bounds what connections cost the plan."""
    settings = settings_for(issuer.issuer, apideck_url, **limits(total="2/hour"))
    async with running(settings) as service:
        scene = Scene(service, issuer)
        reads = [await scene.read(LIST, person) for person in ("ada", "otto", "grace")]
        session = await scene.session("grace")

    assert [one.status_code for one in reads] == [200, 200, 429]
    assert session.status_code == 201


@pytest.mark.parametrize("fault", [faults.error(503), Broken("hang"), faults.whole(b"null")])
async def test_a_breaker_that_lists_open_does_not_block_sessions(
    issuer: DevelopmentIssuer, apideck: ApideckEmulator, apideck_url: str, fault: faults.Fault
) -> None:
    """Each operation has its own, and its own retry budget."""
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
        scene = Scene(service, issuer)
        reads = [await scene.read() for _ in range(6)]
        asked = len(apideck.requests)
        sessions = [await scene.session() for _ in range(6)]
        # One retry of a session is still within its own budget.
        apideck.fail(faults.error(503))
        retried = await scene.session()
        metrics = await counted(service, "breaker_state")

    assert all(one.status_code >= 500 for one in reads)
    assert asked <= 5
    assert {one.status_code for one in (*sessions, retried)} == {201}
    assert metrics == {'breaker_state{application="default"}': 2}


async def test_a_breaker_that_sessions_open_does_not_block_lists(
    issuer: DevelopmentIssuer, apideck: ApideckEmulator, apideck_url: str
) -> None:
    """Nor the other way round."""
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
        scene = Scene(service, issuer)
        sessions = [await scene.session() for _ in range(3)]
        read = await scene.read()

    assert {one.status_code for one in sessions} == {503}
    assert read.status_code == 200


async def test_slow_lists_take_no_slot_from_sessions(
    issuer: DevelopmentIssuer, apideck: ApideckEmulator, apideck_url: str
) -> None:
    """With every slot for lists taken by one that hangs, sessions are admitted at once."""
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
        scene = Scene(service, issuer)
        slow = asyncio.create_task(scene.read())
        async with asyncio.timeout(20):
            while not apideck.requests:  # noqa: ASYNC110 - it is not an event
                await asyncio.sleep(0.005)
        rejected = await scene.read(XERO)
        session = await scene.session()
        slow.cancel()
        await asyncio.gather(slow, return_exceptions=True)

    assert problem(rejected) == (503, "overloaded")
    assert session.status_code == 201


async def test_a_list_of_4_mib_is_returned_and_a_longer_one_is_not(
    issuer: DevelopmentIssuer, apideck: ApideckEmulator, apideck_url: str
) -> None:
    """It is larger than a session may be; the limit on sessions stays as it is."""
    async with running(settings_for(issuer.issuer, apideck_url)) as service:
        scene = Scene(service, issuer)
        apideck.connect(APP_ID, "acme", "accounting", "xero")
        apideck.fail_connections(faults.oversized(4_100_000))
        large = await scene.read()
        apideck.fail_connections(faults.oversized(4_200_000))
        larger = await scene.read()
        apideck.fail(faults.oversized(100_000))
        session = await scene.session()

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
async def test_failures_are_the_problems_that_they_are_for_sessions(
    issuer: DevelopmentIssuer,
    apideck: ApideckEmulator,
    apideck_url: str,
    fault: faults.Fault,
    expected: tuple[int, str],
    path: str,
) -> None:
    """Each failure of Apideck is one problem, whatever was requested."""
    apideck.connect(APP_ID, "acme", "accounting", "xero")
    apideck.fail_connections(fault)
    settings = settings_for(
        issuer.issuer,
        apideck_url,
        apideck={"deadline_seconds": 0.5, "retries": {"base_delay_seconds": 0.01}},
    )
    async with running(settings) as service:
        response = await Scene(service, issuer).read(path)

    assert problem(response) == expected
