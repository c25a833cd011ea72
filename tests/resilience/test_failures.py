"""Responses to callers when Apideck or an identity provider fails, or they exceed a limit."""

import httpx
import pytest

from emulators.apideck import ApideckEmulator, faults
from emulators.apideck.faults import Broken, Fault
from emulators.issuer import DevelopmentIssuer
from tests.support.cookie_session_app import CookieSessionApp
from tests.support.http import bearer, problem
from tests.support.measured import apideck_metrics, sessions_requested, takes_less_than
from tests.support.service import running, settings_for, settings_with_application

RESPONSE_SECONDS = 5.0
"""Half of the deadline, in seconds: a faster response did not wait for the deadline."""


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
async def test_a_temporary_failure_does_not_fail_the_request(
    service: httpx.AsyncClient,
    issuer: DevelopmentIssuer,
    apideck: ApideckEmulator,
    fault: Fault,
    outcome: str,
) -> None:
    """The request is retried quickly, and the caller gets a session."""
    apideck.fail(fault, times=1)

    with takes_less_than(RESPONSE_SECONDS):
        response = await service.post("/vault-session", headers=bearer(issuer.token()))

    assert response.status_code == 201
    assert len(apideck.minted) == 1
    assert len(apideck.requests) == 2
    assert await apideck_metrics(service) == {
        sessions_requested(outcome): 1,
        sessions_requested("Minted"): 1,
        'retries_total{application="default"}': 1,
    }


@pytest.mark.parametrize(
    ("status", "expected", "outcome"),
    [
        (400, (502, "apideck-rejected-request"), "RejectedRequest"),
        (401, (502, "apideck-misconfigured"), "Misconfigured"),
        (402, (503, "apideck-quota-exhausted"), "QuotaExhausted"),
        (404, (502, "apideck-misconfigured"), "Misconfigured"),
        (422, (502, "apideck-rejected-request"), "RejectedRequest"),
        (500, (503, "apideck-unavailable"), "Unavailable"),
    ],
)
async def test_other_failures_are_not_retried(
    service: httpx.AsyncClient,
    issuer: DevelopmentIssuer,
    apideck: ApideckEmulator,
    status: int,
    expected: tuple[int, str],
    outcome: str,
) -> None:
    """A rejection is final, and a 500 may have created a session: the caller gets an error."""
    apideck.fail(faults.error(status), times=None)

    with takes_less_than(RESPONSE_SECONDS):
        response = await service.post("/vault-session", headers=bearer(issuer.token()))

    assert problem(response) == expected
    assert len(apideck.requests) == 1
    assert await apideck_metrics(service) == {
        sessions_requested(outcome): 1,
        'retries_total{application="default"}': 0,
    }


async def test_a_retry_after_beyond_the_deadline_is_returned_immediately(
    service: httpx.AsyncClient, issuer: DevelopmentIssuer, apideck: ApideckEmulator
) -> None:
    """The caller does not wait for a retry that cannot be made in time."""
    apideck.fail(faults.rate_limited("30"), times=None)

    response = await service.post("/vault-session", headers=bearer(issuer.token()))

    assert problem(response) == (503, "apideck-rate-limited")
    assert response.headers["retry-after"] == "30"
    assert len(apideck.requests) == 1


async def test_an_outage_opens_the_breaker_and_hardly_adds_load(
    issuer: DevelopmentIssuer, apideck: ApideckEmulator, apideck_url: str
) -> None:
    """Few of many requests reach Apideck during an outage; the others fail immediately."""
    apideck.fail(faults.error(503), times=None)
    quick = {"retries": {"base_delay_seconds": 0.001}, "breaker": {"open_seconds": 300}}
    settings = settings_for(
        issuer.issuer, apideck_url, apideck=quick, limits={"per_user": "unlimited"}
    )
    async with running(settings) as service:
        responses = [
            await service.post("/vault-session", headers=bearer(issuer.token())) for _ in range(60)
        ]
        ready = (await service.get("/readyz")).json()
        metrics = (await service.get("/metrics")).text

    assert {problem(response) for response in responses} == {(503, "apideck-unavailable")}
    assert len(apideck.requests) == 20
    assert int(responses[-1].headers["retry-after"]) > 200
    assert ready["status"] == "ready"
    assert ready["apideck"]["default"]["breaker"] == "open"
    assert 'vault_bff_apideck_breaker_state{application="default"} 2.0' in metrics


async def test_a_failing_cookie_session_endpoint_does_not_affect_other_callers(
    issuer: DevelopmentIssuer, apideck: ApideckEmulator, apideck_url: str
) -> None:
    """After 20 failures requests with a cookie fail immediately; those with a token succeed."""
    application = CookieSessionApp()
    application.status = 503
    with application.serve() as whoami_url:
        settings = settings_with_application(
            issuer.issuer, apideck_url, whoami_url, "https://app.example.com"
        )
        async with running(settings) as service:
            responses = [
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

    assert {problem(response) for response in responses} == {(503, "identity-provider-unavailable")}
    assert len(application.received) == 20
    assert 'identity_requests_total{host="127.0.0.1",outcome="not-asked"} 10.0' in metrics
    assert other.status_code == 201
    assert len(apideck.minted) == 1


async def test_a_caller_who_exceeds_the_limit_gets_its_state(
    issuer: DevelopmentIssuer, apideck: ApideckEmulator, apideck_url: str
) -> None:
    """With a quota of two, the third request gets a 429 with Retry-After, and is not forwarded."""
    settings = settings_for(issuer.issuer, apideck_url, limits={"per_user": "2/hour"})
    async with running(settings) as service:
        responses = [
            await service.post("/vault-session", headers=bearer(issuer.token())) for _ in range(3)
        ]

    assert [response.status_code for response in responses] == [201, 201, 429]
    assert [response.headers["ratelimit"][:10] for response in responses] == [
        '"user";r=1',
        '"user";r=0',
        '"user";r=0',
    ]
    assert responses[0].headers["ratelimit-policy"] == '"user";q=2;w=3600'
    assert 1790 < int(responses[2].headers["retry-after"]) <= 1800
    assert len(apideck.requests) == 2
