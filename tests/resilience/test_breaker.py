"""The effects of the circuit breaker on callers, with a clock that the test sets."""

from functools import partial

import httpx
import pytest

from app.common.circuit_breaker import CircuitBreaker
from emulators.apideck import ApideckEmulator, faults
from emulators.apideck.emulator import API_KEY
from emulators.apideck.faults import Broken, Fault
from emulators.issuer import DevelopmentIssuer
from tests.support.http import bearer, problem
from tests.support.in_process import Clock
from tests.support.measured import apideck_metrics
from tests.support.service import running, settings_for

OPEN_SECONDS = 30
CLOSED, HALF_OPEN, OPEN = 0, 1, 2
DOWN = (503, "apideck-unavailable")
BY_REGION = {"claim": "region", "allowed": ["default", "eu"]}


async def test_after_an_outage_probes_close_the_breaker(
    issuer: DevelopmentIssuer,
    apideck: ApideckEmulator,
    apideck_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The breaker opens, blocks requests, reopens after a failed probe, closes after successes."""
    clock = Clock()
    monkeypatch.setattr("app.apideck.client.CircuitBreaker", partial(CircuitBreaker, clock=clock))
    breaker = {"min_requests": 4, "open_seconds": OPEN_SECONDS, "probes": 2}
    settings = settings_for(
        issuer.issuer, apideck_url, apideck={"retries": {"max_attempts": 1}, "breaker": breaker}
    )
    async with running(settings) as service:

        async def request_session() -> httpx.Response:
            return await service.post("/vault-session", headers=bearer(issuer.token()))

        async def state() -> tuple[float, float, int]:
            """Return its state, the blocked requests, and the requests that reached Apideck."""
            metrics = await apideck_metrics(service, "breaker_state", "not_asked_total")
            # The sample exists only after a request was blocked.
            blocked = metrics.get('not_asked_total{application="default"}', 0)
            return metrics['breaker_state{application="default"}'], blocked, len(apideck.requests)

        apideck.fail(faults.error(503), times=None)
        failed = [await request_session() for _ in range(4)]
        assert [problem(response) for response in failed] == [DOWN] * 4
        assert await state() == (OPEN, 0, 4)

        clock.now += OPEN_SECONDS - 10
        rejected = await request_session()
        assert problem(rejected) == DOWN
        assert rejected.headers["retry-after"] == "10"
        assert await state() == (OPEN, 1, 4)

        clock.now += 10
        assert (await state())[0] == HALF_OPEN
        assert problem(await request_session()) == DOWN
        assert await state() == (OPEN, 1, 5)

        apideck.reset()
        assert (await request_session()).headers["retry-after"] == str(OPEN_SECONDS)
        assert await state() == (OPEN, 2, 0)

        clock.now += OPEN_SECONDS
        assert (await request_session()).status_code == 201
        assert await state() == (HALF_OPEN, 2, 1)
        assert [(await request_session()).status_code for _ in range(5)] == [201] * 5
        assert await state() == (CLOSED, 2, 6)


@pytest.mark.parametrize(
    ("fault", "state"),
    [
        (faults.error(500), OPEN),
        (faults.html(502), OPEN),
        (faults.whole(b"null"), OPEN),
        (faults.Answer(201), OPEN),
        (Broken("reset"), OPEN),
        (Broken("hang"), OPEN),
        (faults.error(400), CLOSED),
        (faults.error(401), CLOSED),
        (faults.error(402), CLOSED),
        (faults.error(404), CLOSED),
        (faults.error(422), CLOSED),
        (faults.rate_limited(), CLOSED),
    ],
    ids=["500", "502", "null", "201", "reset", "hang", "400", "401", "402", "404", "422", "429"],
)
async def test_failures_open_the_breaker_and_rejections_do_not(
    issuer: DevelopmentIssuer,
    apideck: ApideckEmulator,
    apideck_url: str,
    fault: Fault,
    state: int,
) -> None:
    """A missing, late or invalid response is a failure; a rejection is not."""
    apideck.fail(fault, times=None)
    settings = settings_for(
        issuer.issuer,
        apideck_url,
        apideck={
            "deadline_seconds": 0.3 if fault == Broken("hang") else 60,
            "attempt_timeout_seconds": 60,
            "retries": {"max_attempts": 1},
            "breaker": {"min_requests": 2, "window_seconds": 300, "open_seconds": 300},
        },
    )
    async with running(settings) as service:
        for _ in range(3):
            response = await service.post("/vault-session", headers=bearer(issuer.token()))
            assert response.is_error
        metrics = await apideck_metrics(service, "breaker_state")

    assert metrics == {'breaker_state{application="default"}': state}
    assert len(apideck.requests) == (2 if state == OPEN else 3)


async def test_a_failing_unify_app_does_not_affect_another(
    issuer: DevelopmentIssuer, apideck: ApideckEmulator, apideck_url: str
) -> None:
    """While the breaker of one app is open, callers of the other app get sessions."""
    failing = ApideckEmulator()
    failing.fail(faults.error(503), times=None)
    with failing.serve() as failing_url:
        europe = {"api_key": API_KEY, "app_id": "app-eu", "base_url": failing_url}
        settings = settings_for(
            issuer.issuer,
            apideck_url,
            apideck={
                "unify_apps": {"eu": europe},
                "retries": {"max_attempts": 1},
                "breaker": {"min_requests": 4, "open_seconds": 300},
            },
            identity={"issuers": {"main": {"apideck": BY_REGION}}},
        )
        async with running(settings) as service:

            async def request_session(region: str) -> httpx.Response:
                headers = bearer(issuer.token(region=region))
                return await service.post("/vault-session", headers=headers)

            responses = [
                (await request_session("eu"), await request_session("default")) for _ in range(6)
            ]
            metrics = await apideck_metrics(service, "breaker_state", "not_asked_total")

    assert {problem(eu) for eu, _ in responses} == {DOWN}
    assert [default.status_code for _, default in responses] == [201] * 6
    assert (len(failing.requests), len(apideck.minted)) == (4, 6)
    assert metrics == {
        'breaker_state{application="default"}': CLOSED,
        'breaker_state{application="eu"}': OPEN,
        'not_asked_total{application="eu"}': 2,
    }


async def test_a_retry_that_the_breaker_blocks_is_not_counted(
    issuer: DevelopmentIssuer, apideck: ApideckEmulator, apideck_url: str
) -> None:
    """The first failure opens the breaker; the retry is neither sent nor counted."""
    apideck.fail(faults.error(503), times=None)
    settings = settings_for(
        issuer.issuer,
        apideck_url,
        apideck={"breaker": {"min_requests": 1, "open_seconds": 300}},
    )
    async with running(settings) as service:
        response = await service.post("/vault-session", headers=bearer(issuer.token()))
        metrics = await apideck_metrics(service, "retries_total", "not_asked_total")

    assert problem(response) == (503, "apideck-unavailable")
    assert len(apideck.requests) == 1
    assert metrics == {
        'retries_total{application="default"}': 0,
        'not_asked_total{application="default"}': 1,
    }
