"""What the service does when Apideck, its callers or its settings misbehave."""

import httpx
import pytest

from emulators.apideck import ApideckEmulator, faults
from emulators.apideck.faults import Broken, Fault
from emulators.issuer import DevelopmentIssuer
from tests.support.cookie_session_app import Application
from tests.support.http import bearer, problem
from tests.support.measured import counted, promptly
from tests.support.service import running, settings_for, settings_with_application

SOON = 5.0
"""Seconds, half of the deadline: nobody who is answered by then has waited for it."""


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        (faults.error(503), "Unavailable"),
        (faults.html(502), "Unavailable"),
        (faults.error(504), "Unavailable"),
        (faults.rate_limited("0"), "RateLimited"),
        (Broken("reset"), "Unavailable"),
        (Broken("close"), "Unavailable"),
    ],
    ids=["503", "502", "504", "429", "reset", "close"],
)
async def test_a_failure_that_passes_costs_the_caller_nothing(
    service: httpx.AsyncClient,
    issuer: DevelopmentIssuer,
    apideck: ApideckEmulator,
    fault: Fault,
    outcome: str,
) -> None:
    """One such failure is asked again soon, and the caller gets a session."""
    apideck.fail(fault, times=1)

    with promptly(SOON):
        answer = await service.post("/vault-session", headers=bearer(issuer.token()))

    assert answer.status_code == 201
    assert len(apideck.minted) == 1
    assert len(apideck.requests) == 2
    assert await counted(service) == {
        f'requests_total{{application="default",outcome="{outcome}"}}': 1,
        'requests_total{application="default",outcome="Minted"}': 1,
        'retries_total{application="default"}': 1,
    }


@pytest.mark.parametrize(
    ("status", "answered", "outcome"),
    [
        (400, (502, "apideck-rejected-request"), "RejectedRequest"),
        (401, (502, "apideck-misconfigured"), "Misconfigured"),
        (402, (503, "apideck-quota-exhausted"), "QuotaExhausted"),
        (404, (502, "apideck-misconfigured"), "Misconfigured"),
        (422, (502, "apideck-rejected-request"), "RejectedRequest"),
        (500, (503, "apideck-unavailable"), "Unavailable"),
    ],
)
async def test_other_answers_are_asked_for_once(
    service: httpx.AsyncClient,
    issuer: DevelopmentIssuer,
    apideck: ApideckEmulator,
    status: int,
    answered: tuple[int, str],
    outcome: str,
) -> None:
    """A no is a no, and a 500 may have done something: the caller hears of either at once."""
    apideck.fail(faults.error(status), times=None)

    with promptly(SOON):
        answer = await service.post("/vault-session", headers=bearer(issuer.token()))

    assert problem(answer) == answered
    assert len(apideck.requests) == 1
    assert await counted(service) == {
        f'requests_total{{application="default",outcome="{outcome}"}}': 1,
        'retries_total{application="default"}': 0,
    }


async def test_a_retry_after_beyond_the_deadline_is_told_to_the_caller_at_once(
    service: httpx.AsyncClient, issuer: DevelopmentIssuer, apideck: ApideckEmulator
) -> None:
    """Nobody waits for what cannot come in time."""
    apideck.fail(faults.rate_limited("30"), times=None)

    answer = await service.post("/vault-session", headers=bearer(issuer.token()))

    assert problem(answer) == (503, "apideck-rate-limited")
    assert answer.headers["retry-after"] == "30"
    assert len(apideck.requests) == 1


async def test_an_outage_brings_hardly_more_traffic_and_opens_the_breaker(
    issuer: DevelopmentIssuer, apideck: ApideckEmulator, apideck_url: str
) -> None:
    """Of many requests in an outage few reach Apideck; the others fail at once, and say so."""
    apideck.fail(faults.error(503), times=None)
    quick = {"retries": {"base_delay_seconds": 0.001}, "breaker": {"open_seconds": 300}}
    settings = settings_for(
        issuer.issuer, apideck_url, apideck=quick, limits={"per_user": "unlimited"}
    )
    async with running(settings) as service:
        answers = [
            await service.post("/vault-session", headers=bearer(issuer.token())) for _ in range(60)
        ]
        ready = (await service.get("/readyz")).json()
        metrics = (await service.get("/metrics")).text

    assert {problem(answer) for answer in answers} == {(503, "apideck-unavailable")}
    assert len(apideck.requests) == 20
    assert int(answers[-1].headers["retry-after"]) > 200
    assert ready["status"] == "ready"
    assert ready["apideck"]["default"]["breaker"] == "open"
    assert 'vault_bff_apideck_breaker_state{application="default"} 2.0' in metrics


async def test_an_application_that_fails_is_left_alone_and_harms_nobody_else(
    issuer: DevelopmentIssuer, apideck: ApideckEmulator, apideck_url: str
) -> None:
    """After some failures its callers are told at once; those with a token of an issuer's mint."""
    application = Application()
    application.status = 503
    with application.serve() as whoami_url:
        settings = settings_with_application(
            issuer.issuer, apideck_url, whoami_url, "https://app.example.com"
        )
        async with running(settings) as service:
            answers = [
                await service.post(
                    "/vault-session",
                    headers={
                        "cookie": f"app_session=person-{number}",
                        "origin": "https://app.example.com",
                        "x-vault-session": "1",
                        "content-type": "application/json",
                    },
                )
                for number in range(30)
            ]
            other = await service.post("/vault-session", headers=bearer(issuer.token()))
            metrics = (await service.get("/metrics")).text

    assert {problem(answer) for answer in answers} == {(503, "identity-provider-unavailable")}
    assert len(application.seen) == 20
    assert 'identity_requests_total{host="127.0.0.1",outcome="not-asked"} 10.0' in metrics
    assert other.status_code == 201
    assert len(apideck.minted) == 1


async def test_a_caller_beyond_the_limit_is_told_where_they_stand(
    issuer: DevelopmentIssuer, apideck: ApideckEmulator, apideck_url: str
) -> None:
    """The third of two is a 429 with Retry-After, and Apideck hears nothing of it."""
    settings = settings_for(issuer.issuer, apideck_url, limits={"per_user": "2/hour"})
    async with running(settings) as service:
        answers = [
            await service.post("/vault-session", headers=bearer(issuer.token())) for _ in range(3)
        ]

    assert [answer.status_code for answer in answers] == [201, 201, 429]
    assert [answer.headers["ratelimit"][:10] for answer in answers] == [
        '"user";r=1',
        '"user";r=0',
        '"user";r=0',
    ]
    assert answers[0].headers["ratelimit-policy"] == '"user";q=2;w=3600'
    assert 1790 < int(answers[2].headers["retry-after"]) <= 1800
    assert len(apideck.requests) == 2
