"""Every way in which Apideck can answer or not, on real sockets, and what the caller sees of it."""

from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from app.settings import Settings
from emulators.apideck import ApideckEmulator, faults
from emulators.apideck.faults import Broken, Dribble, Fault, Slow
from emulators.issuer import DevelopmentIssuer
from tests.support.http import bearer, pointers, problem
from tests.support.measured import promptly
from tests.support.service import running, settings_for

ELSEWHERE = "https://vault.apideck.com.evil.example/session/x"
UNREADABLE = (502, "apideck-invalid-response")
REFUSED = (502, "apideck-rejected-request")
MISCONFIGURED = (502, "apideck-misconfigured")
DOWN = (503, "apideck-unavailable")
SLOW = (504, "apideck-timeout")
DEADLINE_SECONDS = 1.5
FAR_SECONDS = 60
"""A deadline beyond what any test waits for."""


@dataclass(frozen=True)
class Case:
    """A fault, and what comes of it.

    Attributes:
        name: what it is called.
        fault: what happens, each time.
        problem: what the caller is answered: with the deadline where it is that Apideck is slow,
            and at once otherwise.
        attempts: requests that Apideck sees.
        retry_after: the seconds after which the caller is told to come again.
    """

    name: str
    fault: Fault
    problem: tuple[int, str]
    attempts: int = 1
    retry_after: str | None = None


CASES = [
    Case("400", faults.error(400, {"redirect_uri": "is not registered"}), REFUSED),
    Case("400 headers", faults.error(400, name="RequestHeadersValidationError"), REFUSED),
    Case("401", faults.error(401), MISCONFIGURED),
    Case("402", faults.error(402, "You have reached your limit"), (503, "apideck-quota-exhausted")),
    Case("403", faults.error(403), REFUSED),
    Case("404", faults.error(404), MISCONFIGURED),
    Case("422", faults.error(422), REFUSED),
    Case("429", faults.rate_limited(), (503, "apideck-rate-limited"), 3),
    Case("429 in seconds", faults.rate_limited("70"), (503, "apideck-rate-limited"), 1, "70"),
    Case("500", faults.error(500), DOWN),
    Case("503", faults.error(503), DOWN, 3),
    Case("503 with seconds", faults.error(503, retry_after="70"), DOWN, 1, "70"),
    Case("HTML 502", faults.html(502), DOWN, 3),
    Case("empty 500", faults.Answer(500), DOWN),
    Case("empty 200", faults.whole(b""), UNREADABLE),
    Case("200 of null", faults.whole(b"null"), UNREADABLE),
    Case("HTML 200", faults.whole(b"<html></html>"), UNREADABLE),
    Case("201", faults.Answer(201), UNREADABLE),
    Case("truncated", faults.truncated(), UNREADABLE),
    Case("without data", faults.without_data(), UNREADABLE),
    Case("without token", faults.data(session_token=None), UNREADABLE),
    Case("token that is none", faults.data(session_token="x"), UNREADABLE),
    Case("token without exp", faults.data(session_token="e30.e30.e30"), UNREADABLE),
    Case("wrong types", faults.data(session_uri=5), UNREADABLE),
    Case("oversized", faults.oversized(), UNREADABLE),
    Case("compressed", faults.compressed(), UNREADABLE),
    Case("foreign host", faults.data(session_uri=ELSEWHERE), UNREADABLE),
    Case("http", faults.data(session_uri="http://vault.apideck.com/x"), UNREADABLE),
    Case(
        "user info", faults.data(session_uri="https://vault.apideck.com@evil.example"), UNREADABLE
    ),
    Case("script", faults.data(session_uri="javascript:alert(1)"), UNREADABLE),
    Case("redirect", faults.redirect("http://127.0.0.1:1/"), MISCONFIGURED),
    Case("redirect 302", faults.redirect("https://unify.apideck.com/", 302), MISCONFIGURED),
    Case("reset", Broken("reset"), DOWN, 3),
    Case("closed", Broken("close"), DOWN, 3),
    Case("cut in the middle", Broken("cut"), DOWN),
    Case("hang", Broken("hang"), SLOW),
    Case("slow", Slow(5), SLOW),
    Case("dribble", Dribble(0.05), SLOW),
]


@pytest.fixture
def settings(
    issuer: DevelopmentIssuer, apideck_url: str, request: pytest.FixtureRequest
) -> Settings:
    """Return settings with a deadline that tests can afford, or one that nobody waits for."""
    quick = {
        "deadline_seconds": getattr(request, "param", DEADLINE_SECONDS),
        "attempt_timeout_seconds": 60,
        "retries": {"base_delay_seconds": 0.001},
    }
    return settings_for(issuer.issuer, apideck_url, apideck=quick)


@pytest.mark.parametrize(
    ("case", "settings"),
    [(case, DEADLINE_SECONDS if case.problem == SLOW else FAR_SECONDS) for case in CASES],
    indirect=["settings"],
    ids=[case.name for case in CASES],
)
async def test_each_outcome_is_one_problem(
    service: httpx.AsyncClient, issuer: DevelopmentIssuer, apideck: ApideckEmulator, case: Case
) -> None:
    """The caller gets a problem without a word of Apideck's, the operator a reason and an id."""
    apideck.fail(case.fault, times=None)

    with capture_logs() as logs, promptly(FAR_SECONDS / 2):
        answer = await service.post("/vault-session", headers=bearer(issuer.token()))

    assert problem(answer) == case.problem
    assert len(apideck.requests) == case.attempts
    assert answer.headers.get("retry-after") == case.retry_after
    assert "limit" not in answer.text.replace("rate-limited", "").replace("rate limit", "")
    audit = next(line for line in logs if line["event"] == "vault_session_failed")
    assert audit["problem"] == case.problem[1]
    assert audit["reason"]
    apideck.reset()
    recovered = await service.post("/vault-session", headers=bearer(issuer.token()))
    assert recovered.status_code == 201


async def test_apideck_that_cannot_be_reached_is_unavailable(
    issuer: DevelopmentIssuer, unused_tcp_port: int
) -> None:
    """A refused connection is a 503 of ours."""
    settings = settings_for(issuer.issuer, f"http://127.0.0.1:{unused_tcp_port}")
    async with running(settings) as service:
        answer = await service.post("/vault-session", headers=bearer(issuer.token()))

    assert problem(answer) == DOWN


async def test_a_connection_closed_right_after_it_was_accepted_is_unavailable(
    service: httpx.AsyncClient, issuer: DevelopmentIssuer, apideck: ApideckEmulator
) -> None:
    """A listener that hangs up at once is a 503 of ours, and no request was lost on it."""
    apideck.state.refuses_connections = True

    answer = await service.post("/vault-session", headers=bearer(issuer.token()))

    assert problem(answer) == DOWN
    assert apideck.requests == []


async def test_retry_after_as_a_date_is_passed_on_in_seconds(
    service: httpx.AsyncClient, issuer: DevelopmentIssuer, apideck: ApideckEmulator
) -> None:
    """Callers get one form of Retry-After, whichever Apideck chose."""
    apideck.fail(faults.rate_limited(faults.http_date(60)), times=None)

    answer = await service.post("/vault-session", headers=bearer(issuer.token()))

    assert 55 <= int(answer.headers["retry-after"]) <= 60


async def test_the_request_id_of_a_failed_call_is_kept(
    service: httpx.AsyncClient, issuer: DevelopmentIssuer, apideck: ApideckEmulator
) -> None:
    """Apideck's support asks for it, so it is in the audit event."""
    apideck.fail(faults.error(402))

    with capture_logs() as logs:
        await service.post("/vault-session", headers=bearer(issuer.token()))

    audit = next(line for line in logs if line["event"] == "vault_session_failed")
    assert len(audit["apideck_request_id"]) == 32


async def test_a_redirect_is_never_followed(
    service: httpx.AsyncClient, issuer: DevelopmentIssuer, apideck: ApideckEmulator
) -> None:
    """The key, app and consumer headers stay where they were sent."""
    apideck.fail(faults.redirect(f"{apideck.vault_origin}/vault/sessions"))

    await service.post("/vault-session", headers=bearer(issuer.token()))

    assert len(apideck.requests) == 1
    assert apideck.minted == []


async def test_the_accounts_redirect_protection_is_the_operators_to_mend(
    service: httpx.AsyncClient, issuer: DevelopmentIssuer, apideck: ApideckEmulator
) -> None:
    """A target that we registered and Apideck did not is no fault of the caller's."""
    apideck.protect_redirects(["https://other.example"])

    answer = await service.post(
        "/vault-session", json={"return_to": "home"}, headers=bearer(issuer.token())
    )

    assert problem(answer) == REFUSED
    assert apideck.minted == []


async def test_a_field_of_the_callers_own_that_apideck_refuses_is_named(
    issuer: DevelopmentIssuer, apideck: ApideckEmulator, apideck_url: str
) -> None:
    """The caller can mend what the caller supplied, so the problem is a 422 with its pointer."""
    allowed: dict[str, Any] = {"users_may_set": ["theme", "settings"]}
    apideck.fail(faults.error(400, {"theme.logo": "is too large"}))
    async with running(settings_for(issuer.issuer, apideck_url, session=allowed)) as service:
        answer = await service.post(
            "/vault-session",
            json={"theme": {"logo": "https://x.example/l.png", "vault_name": "X"}},
            headers=bearer(issuer.token()),
        )

    assert problem(answer) == (422, "apideck-rejected-request")
    assert pointers(answer) == ["/theme/logo"]
    assert "too large" not in answer.text


async def test_a_part_of_what_a_service_supplied_as_a_whole_is_its_own(
    issuer: DevelopmentIssuer, apideck: ApideckEmulator, apideck_url: str
) -> None:
    """An address that Apideck refuses is the service's to mend that sent it; a claim is not."""
    robots = {
        "issuer": issuer.issuer,
        "audience": "services",
        "kind": "services",
        "grants": {"onboarding": ["acme"]},
    }
    apideck.fail(faults.error(400, {"consumer_metadata.email": "is no address"}), times=None)
    settings = settings_for(issuer.issuer, apideck_url, identity={"issuers": {"robots": robots}})
    async with running(settings) as service:
        of_service = await service.post(
            "/vault-session",
            json={"consumer_id": "acme", "consumer_metadata": {"email": "ada"}},
            headers=bearer(issuer.service_token(aud="services")),
        )
        of_user = await service.post("/vault-session", headers=bearer(issuer.token()))

    assert problem(of_service) == (422, "apideck-rejected-request")
    assert pointers(of_service) == ["/consumer_metadata"]
    assert problem(of_user) == REFUSED


async def test_a_revoked_key_is_the_operators_trouble(
    issuer: DevelopmentIssuer, apideck_url: str, apideck: ApideckEmulator
) -> None:
    """The emulator itself refuses another key, and the caller hears nothing of keys."""
    other_key = {"api_key": "sk_demo_revoked"}
    async with running(settings_for(issuer.issuer, apideck_url, apideck=other_key)) as service:
        answer = await service.post("/vault-session", headers=bearer(issuer.token()))

    assert problem(answer) == MISCONFIGURED
    assert "key" not in answer.text
    assert apideck.minted == []
