"""What callers notice of a circuit breaker, on a clock that the test turns."""

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
from tests.support.measured import counted
from tests.support.service import running, settings_for

OPEN_SECONDS = 30
CLOSED, HALF_OPEN, OPEN = 0, 1, 2
DOWN = (503, "apideck-unavailable")
BY_REGION = {"claim": "region", "allowed": ["default", "eu"]}


async def test_an_outage_that_ends_is_probed_and_then_everybody_is_served(
    issuer: DevelopmentIssuer,
    apideck: ApideckEmulator,
    apideck_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It opens, asks nobody, opens again for a probe that fails, and closes after two good ones."""
    clock = Clock()
    monkeypatch.setattr("app.apideck.client.CircuitBreaker", partial(CircuitBreaker, clock=clock))
    breaker = {"min_requests": 4, "open_seconds": OPEN_SECONDS, "probes": 2}
    settings = settings_for(
        issuer.issuer, apideck_url, apideck={"retries": {"max_attempts": 1}, "breaker": breaker}
    )
    async with running(settings) as service:

        async def ask() -> httpx.Response:
            return await service.post("/vault-session", headers=bearer(issuer.token()))

        async def stands() -> tuple[float, float, int]:
            """Return its state, who was not asked for, and how often Apideck was asked."""
            metrics = await counted(service, "breaker_state", "not_asked_total")
            # Of nobody there is no sample.
            not_asked = metrics.get('not_asked_total{application="default"}', 0)
            return metrics['breaker_state{application="default"}'], not_asked, len(apideck.requests)

        apideck.fail(faults.error(503), times=None)
        failed = [await ask() for _ in range(4)]
        assert [problem(answer) for answer in failed] == [DOWN] * 4
        assert await stands() == (OPEN, 0, 4)

        clock.now += OPEN_SECONDS - 10
        refused = await ask()
        assert problem(refused) == DOWN
        assert refused.headers["retry-after"] == "10"
        assert await stands() == (OPEN, 1, 4)

        clock.now += 10
        assert (await stands())[0] == HALF_OPEN
        assert problem(await ask()) == DOWN
        assert await stands() == (OPEN, 1, 5)

        apideck.reset()
        assert (await ask()).headers["retry-after"] == str(OPEN_SECONDS)
        assert await stands() == (OPEN, 2, 0)

        clock.now += OPEN_SECONDS
        assert (await ask()).status_code == 201
        assert await stands() == (HALF_OPEN, 2, 1)
        assert [(await ask()).status_code for _ in range(5)] == [201] * 5
        assert await stands() == (CLOSED, 2, 6)


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
async def test_failures_open_it_and_a_no_does_not(
    issuer: DevelopmentIssuer,
    apideck: ApideckEmulator,
    apideck_url: str,
    fault: Fault,
    state: int,
) -> None:
    """No answer, a late one and one that breaks the contract are failures; a refusal is none."""
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
            answer = await service.post("/vault-session", headers=bearer(issuer.token()))
            assert answer.is_error
        metrics = await counted(service, "breaker_state")

    assert metrics == {'breaker_state{application="default"}': state}
    assert len(apideck.requests) == (2 if state == OPEN else 3)


async def test_one_application_that_fails_keeps_nobody_from_another(
    issuer: DevelopmentIssuer, apideck: ApideckEmulator, apideck_url: str
) -> None:
    """While one is not asked any more, people of the other have their sessions as ever."""
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

            async def ask(region: str) -> httpx.Response:
                headers = bearer(issuer.token(region=region))
                return await service.post("/vault-session", headers=headers)

            answers = [(await ask("eu"), await ask("default")) for _ in range(6)]
            metrics = await counted(service, "breaker_state", "not_asked_total")

    assert {problem(eu) for eu, _ in answers} == {DOWN}
    assert [ours.status_code for _, ours in answers] == [201] * 6
    assert (len(failing.requests), len(apideck.minted)) == (4, 6)
    assert metrics == {
        'breaker_state{application="default"}': CLOSED,
        'breaker_state{application="eu"}': OPEN,
        'not_asked_total{application="eu"}': 2,
    }


async def test_a_retry_that_the_breaker_keeps_back_is_none(
    issuer: DevelopmentIssuer, apideck: ApideckEmulator, apideck_url: str
) -> None:
    """The first failure opens it; what would be asked again is neither asked nor counted."""
    apideck.fail(faults.error(503), times=None)
    settings = settings_for(
        issuer.issuer,
        apideck_url,
        apideck={"breaker": {"min_requests": 1, "open_seconds": 300}},
    )
    async with running(settings) as service:
        answer = await service.post("/vault-session", headers=bearer(issuer.token()))
        seen = await counted(service, "retries_total", "not_asked_total")

    assert problem(answer) == (503, "apideck-unavailable")
    assert len(apideck.requests) == 1
    assert seen == {
        'retries_total{application="default"}': 0,
        'not_asked_total{application="default"}': 1,
    }
