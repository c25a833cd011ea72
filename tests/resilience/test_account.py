"""Problems of the operator's account at Apideck are reported, and do not block requests."""

import asyncio
import gzip

import httpx
import pytest
from structlog.testing import capture_logs

from app.settings import Settings
from emulators.apideck import ApideckEmulator, faults
from emulators.issuer import DevelopmentIssuer
from tests.support.http import bearer, problem
from tests.support.service import running, settings_for

REQUESTS = 30


@pytest.fixture
def settings(issuer: DevelopmentIssuer, apideck_url: str) -> Settings:
    """Return settings with a breaker that opens after two failures."""
    return settings_for(
        issuer.issuer,
        apideck_url,
        apideck={"breaker": {"min_requests": 2}},
        limits={"per_user": "unlimited"},
    )


async def status(service: httpx.AsyncClient) -> tuple[str, str, set[str]]:
    """Return breaker and account from /readyz, and the account states that are 1 in the metrics."""
    ready = (await service.get("/readyz")).json()["apideck"]["default"]
    page = (await service.get("/metrics")).text
    start = 'vault_bff_apideck_account_state{application="default",state="'
    lines = [line for line in page.splitlines() if line.startswith(start)]
    states = {line.removeprefix(start).split('"')[0] for line in lines if line.endswith(" 1.0")}
    return ready["breaker"], ready["account"], states


@pytest.mark.parametrize(
    "body",
    [
        faults.Answer(401, gzip.compress(b"{}"), {"content-encoding": "gzip"}),
        faults.Answer(401, b"x" * 100_000),
    ],
    ids=["compressed", "too large"],
)
async def test_a_rejection_with_an_unreadable_body_is_recognized_by_its_status(
    settings: Settings,
    issuer: DevelopmentIssuer,
    apideck: ApideckEmulator,
    body: faults.Answer,
) -> None:
    """Callers get `apideck-misconfigured`, and the breaker stays closed."""
    apideck.fail(body, times=None)
    async with running(settings) as service:
        responses = [
            await service.post("/vault-session", headers=bearer(issuer.token())) for _ in range(5)
        ]
        reported = await status(service)

    assert {problem(response) for response in responses} == {(502, "apideck-misconfigured")}
    assert len(apideck.requests) == 5
    assert reported == ("closed", "misconfigured", {"misconfigured"})


async def test_a_temporary_failure_with_an_unreadable_body_is_retried(
    settings: Settings, issuer: DevelopmentIssuer, apideck: ApideckEmulator
) -> None:
    """A gateway may compress its 503 although the service does not accept compression."""
    apideck.fail(faults.Answer(503, gzip.compress(b"down"), {"content-encoding": "gzip"}))
    async with running(settings) as service:
        response = await service.post("/vault-session", headers=bearer(issuer.token()))

    assert response.status_code == 201
    assert len(apideck.requests) == 2


@pytest.mark.parametrize(
    ("code", "expected", "account"),
    [
        (401, (502, "apideck-misconfigured"), "misconfigured"),
        (402, (503, "apideck-quota-exhausted"), "quota-exhausted"),
    ],
)
async def test_an_account_problem_is_reported_and_does_not_open_the_breaker(
    settings: Settings,
    issuer: DevelopmentIssuer,
    apideck: ApideckEmulator,
    code: int,
    expected: tuple[int, str],
    account: str,
) -> None:
    """Each request reaches Apideck, so a recovery is detected; each change is logged once."""
    apideck.fail(faults.error(code), times=REQUESTS)
    with capture_logs() as logs:
        async with running(settings) as service:
            before = await status(service)
            responses = [
                await service.post("/vault-session", headers=bearer(issuer.token()))
                for _ in range(REQUESTS)
            ]
            failing = await status(service)
            minted = await service.post("/vault-session", headers=bearer(issuer.token()))
            after = await status(service)

    assert {problem(response) for response in responses} == {expected}
    assert minted.status_code == 201
    assert len(apideck.requests) == REQUESTS + 1
    assert before == after == ("closed", "ok", {"ok"})
    assert failing == ("closed", account, {account})
    assert [line for line in logs if line["event"] == "apideck_account_changed"] == [
        {
            "event": "apideck_account_changed",
            "log_level": level,
            "application": "default",
            "state": state,
        }
        for level, state in (("error", account), ("info", "ok"))
    ]


async def test_an_idle_replica_detects_that_the_key_works_again(
    settings: Settings,
    issuer: DevelopmentIssuer,
    apideck: ApideckEmulator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It lists connections until Apideck accepts the key, and creates no session."""
    monkeypatch.setattr("app.lifespan._PERIOD_SECONDS", 0.01)
    monkeypatch.setattr("app.apideck.account_check._FIRST_SECONDS", 0.01)
    monkeypatch.setattr("app.apideck.account_check._LONGEST_SECONDS", 0.02)
    apideck.fail(faults.error(401), times=None)
    apideck.fail_connections(faults.error(401))
    async with running(settings) as service, asyncio.timeout(30):
        await service.post("/vault-session", headers=bearer(issuer.token()))
        while len(apideck.requests) < 4:
            await service.get("/livez")
            await asyncio.sleep(0.01)
        rejected = await status(service)
        apideck.fail_connections(None)
        account = ""
        while account != "ok":
            await asyncio.sleep(0.01)
            account = (await status(service))[1]

    assert rejected == ("closed", "misconfigured", {"misconfigured"})
    assert [request.method for request in apideck.requests].count("POST") == 1
    assert apideck.minted == []
    assert {request.header("x-apideck-consumer-id") for request in apideck.requests[1:]} == {
        "vault-bff-check"
    }
