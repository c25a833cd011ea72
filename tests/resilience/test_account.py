"""What Apideck says of the operator's account: it is shown, and keeps no request back."""

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
    """Return settings with a breaker that two failures open."""
    return settings_for(
        issuer.issuer,
        apideck_url,
        apideck={"breaker": {"min_requests": 2}},
        limits={"per_user": "unlimited"},
    )


async def shown(service: httpx.AsyncClient) -> tuple[str, str, set[str]]:
    """Return breaker and account of /readyz, and the account's states that are 1 in the metrics."""
    ready = (await service.get("/readyz")).json()["apideck"]["default"]
    page = (await service.get("/metrics")).text
    start = 'vault_bff_apideck_account_state{application="default",state="'
    lines = [line for line in page.splitlines() if line.startswith(start)]
    states = {line.removeprefix(start).split('"')[0] for line in lines if line.endswith(" 1.0")}
    return ready["breaker"], ready["account"], states


@pytest.mark.parametrize(
    "words",
    [
        faults.Answer(401, gzip.compress(b"{}"), {"content-encoding": "gzip"}),
        faults.Answer(401, b"x" * 100_000),
    ],
    ids=["compressed", "endless"],
)
async def test_a_no_is_one_whatever_it_is_said_in(
    settings: Settings,
    issuer: DevelopmentIssuer,
    apideck: ApideckEmulator,
    words: faults.Answer,
) -> None:
    """The status tells, though nobody can read the rest; the breaker has no part in it."""
    apideck.fail(words, times=None)
    async with running(settings) as service:
        answers = [
            await service.post("/vault-session", headers=bearer(issuer.token())) for _ in range(5)
        ]
        seen = await shown(service)

    assert {problem(answer) for answer in answers} == {(502, "apideck-misconfigured")}
    assert len(apideck.requests) == 5
    assert seen == ("closed", "misconfigured", {"misconfigured"})


async def test_a_failure_that_may_pass_is_asked_again_whatever_it_is_said_in(
    settings: Settings, issuer: DevelopmentIssuer, apideck: ApideckEmulator
) -> None:
    """A gateway that compresses its 503 unasked is a gateway that says 503."""
    apideck.fail(faults.Answer(503, gzip.compress(b"down"), {"content-encoding": "gzip"}))
    async with running(settings) as service:
        answer = await service.post("/vault-session", headers=bearer(issuer.token()))

    assert answer.status_code == 201
    assert len(apideck.requests) == 2


@pytest.mark.parametrize(
    ("status", "answered", "account"),
    [
        (401, (502, "apideck-misconfigured"), "misconfigured"),
        (402, (503, "apideck-quota-exhausted"), "quota-exhausted"),
    ],
)
async def test_a_no_to_the_account_is_shown_and_opens_nothing(
    settings: Settings,
    issuer: DevelopmentIssuer,
    apideck: ApideckEmulator,
    status: int,
    answered: tuple[int, str],
    account: str,
) -> None:
    """Each request reaches Apideck, so the first good one is seen; the log has either turn once."""
    apideck.fail(faults.error(status), times=REQUESTS)
    with capture_logs() as logs:
        async with running(settings) as service:
            before = await shown(service)
            answers = [
                await service.post("/vault-session", headers=bearer(issuer.token()))
                for _ in range(REQUESTS)
            ]
            refused = await shown(service)
            minted = await service.post("/vault-session", headers=bearer(issuer.token()))
            after = await shown(service)

    assert {problem(answer) for answer in answers} == {answered}
    assert minted.status_code == 201
    assert len(apideck.requests) == REQUESTS + 1
    assert before == after == ("closed", "ok", {"ok"})
    assert refused == ("closed", account, {account})
    assert [line for line in logs if line["event"] == "apideck_account_changed"] == [
        {
            "event": "apideck_account_changed",
            "log_level": level,
            "application": "default",
            "state": state,
        }
        for level, state in (("error", account), ("info", "ok"))
    ]
