"""The response to the caller for each response or failure of Apideck, over real sockets."""

from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from app.settings import Settings
from emulators.apideck import ApideckEmulator, faults
from emulators.apideck.faults import Broken, Dribble, Fault, Slow
from emulators.issuer import DevelopmentIssuer
from tests.support.http import bearer, problem
from tests.support.measured import apideck_metrics, takes_less_than
from tests.support.service import running, settings_for
from tests.support.short_timeouts import metrics_after

FOREIGN_URL = "https://vault.apideck.com.evil.example/session/x"
UNREADABLE = (502, "apideck-invalid-response")
REFUSED = (502, "apideck-rejected-request")
MISCONFIGURED = (502, "apideck-misconfigured")
DOWN = (503, "apideck-unavailable")
SLOW = (504, "apideck-timeout")
RATE_LIMITED = (503, "apideck-rate-limited")
QUOTA_EXHAUSTED = (503, "apideck-quota-exhausted")
COUNTED_AS = {
    UNREADABLE: "InvalidResponse",
    REFUSED: "RejectedRequest",
    MISCONFIGURED: "Misconfigured",
    DOWN: "Unavailable",
    SLOW: "Timeout",
    RATE_LIMITED: "RateLimited",
    QUOTA_EXHAUSTED: "QuotaExhausted",
}
"""The label of each attempt in the metrics, by the problem that the caller gets."""
DEADLINE_SECONDS = 1.5
LONG_DEADLINE_SECONDS = 60
"""A deadline that no test waits for."""
MAX_RESPONSE_SECONDS = DEADLINE_SECONDS + 2.0
"""Seconds within which a caller must have a response: the deadline, and a margin for a busy CPU."""


@dataclass(frozen=True)
class Case:
    """A fault, and its consequences.

    Attributes:
        name: the name of the case.
        fault: what happens at each attempt.
        problem: the problem that the caller gets: at the deadline if Apideck is slow, otherwise
            immediately.
        attempts: requests that Apideck receives.
        retry_after: the Retry-After that the caller gets.
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
    Case("402", faults.error(402, "You have reached your limit"), QUOTA_EXHAUSTED),
    Case("403", faults.error(403), REFUSED),
    Case("404", faults.error(404), MISCONFIGURED),
    Case("422", faults.error(422), REFUSED),
    Case("429", faults.rate_limited(), RATE_LIMITED, 3),
    Case("429 without delay", faults.rate_limited("0"), RATE_LIMITED, 3, "1"),
    Case("429 in seconds", faults.rate_limited("70"), RATE_LIMITED, 1, "70"),
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
    Case("invalid token", faults.data(session_token="x"), UNREADABLE),
    Case("token without exp", faults.data(session_token="e30.e30.e30"), UNREADABLE),
    Case("wrong types", faults.data(session_uri=5), UNREADABLE),
    Case("oversized", faults.oversized(), UNREADABLE),
    Case("compressed", faults.compressed(), UNREADABLE),
    Case("foreign host", faults.data(session_uri=FOREIGN_URL), UNREADABLE),
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
    """Return settings with a short deadline, or one that no test waits for."""
    seconds = getattr(request, "param", DEADLINE_SECONDS)
    return settings_for(issuer.issuer, apideck_url, apideck=quick(seconds))


def quick(deadline_seconds: float) -> dict[str, Any]:
    """Return settings of Apideck in which only this deadline limits the time."""
    return {
        "deadline_seconds": deadline_seconds,
        "attempt_timeout_seconds": 60,
        "retries": {"base_delay_seconds": 0.001},
    }


@pytest.mark.parametrize(
    ("case", "settings"),
    [(case, DEADLINE_SECONDS if case.problem == SLOW else LONG_DEADLINE_SECONDS) for case in CASES],
    indirect=["settings"],
    ids=[case.name for case in CASES],
)
async def test_each_outcome_is_one_problem(
    service: httpx.AsyncClient, issuer: DevelopmentIssuer, apideck: ApideckEmulator, case: Case
) -> None:
    """The caller gets a problem in time, without Apideck's text; the audit event has a reason."""
    apideck.fail(case.fault, times=None)

    with capture_logs() as logs, takes_less_than(MAX_RESPONSE_SECONDS):
        response = await service.post("/vault-session", headers=bearer(issuer.token()))

    assert problem(response) == case.problem
    assert len(apideck.requests) == case.attempts
    assert await apideck_metrics(service) == metrics_after(case.attempts, COUNTED_AS[case.problem])
    assert response.headers.get("retry-after") == case.retry_after
    assert "limit" not in response.text.replace("rate-limited", "").replace("rate limit", "")
    audit = next(line for line in logs if line["event"] == "vault_session_failed")
    assert audit["problem"] == case.problem[1]
    assert audit["reason"]
    apideck.reset()
    recovered = await service.post("/vault-session", headers=bearer(issuer.token()))
    assert recovered.status_code == 201


async def test_apideck_is_unavailable_if_the_connection_is_refused(
    issuer: DevelopmentIssuer, unused_tcp_port: int
) -> None:
    """A refused connection is retried, and the caller gets a 503 before the deadline."""
    settings = settings_for(
        issuer.issuer, f"http://127.0.0.1:{unused_tcp_port}", apideck=quick(LONG_DEADLINE_SECONDS)
    )
    async with running(settings) as service:
        with takes_less_than(MAX_RESPONSE_SECONDS):
            response = await service.post("/vault-session", headers=bearer(issuer.token()))
        metrics = await apideck_metrics(service)

    assert problem(response) == DOWN
    assert metrics == metrics_after(3, "Unavailable")


@pytest.mark.parametrize("settings", [LONG_DEADLINE_SECONDS], indirect=True)
async def test_a_connection_that_closes_after_accept_is_unavailable(
    service: httpx.AsyncClient, issuer: DevelopmentIssuer, apideck: ApideckEmulator
) -> None:
    """The service retries, the caller gets a 503, and Apideck receives no request."""
    apideck.fail(Broken("accept"), times=None)

    with takes_less_than(MAX_RESPONSE_SECONDS):
        response = await service.post("/vault-session", headers=bearer(issuer.token()))

    assert problem(response) == DOWN
    assert apideck.state.connections == 3
    assert apideck.requests == []
    assert await apideck_metrics(service) == metrics_after(3, "Unavailable")


async def test_retry_after_as_a_date_is_returned_in_seconds(
    service: httpx.AsyncClient, issuer: DevelopmentIssuer, apideck: ApideckEmulator
) -> None:
    """Callers always get the same form of Retry-After."""
    apideck.fail(faults.rate_limited(faults.http_date(60)), times=None)

    response = await service.post("/vault-session", headers=bearer(issuer.token()))

    assert 55 <= int(response.headers["retry-after"]) <= 60


async def test_the_request_id_of_a_failed_request_is_logged(
    service: httpx.AsyncClient, issuer: DevelopmentIssuer, apideck: ApideckEmulator
) -> None:
    """The audit event has Apideck's request id, because Apideck's support asks for it."""
    apideck.fail(faults.error(402))

    with capture_logs() as logs:
        await service.post("/vault-session", headers=bearer(issuer.token()))

    audit = next(line for line in logs if line["event"] == "vault_session_failed")
    assert len(audit["apideck_request_id"]) == 32


async def test_a_redirect_is_never_followed(
    service: httpx.AsyncClient, issuer: DevelopmentIssuer, apideck: ApideckEmulator
) -> None:
    """The service sends API key, app id and consumer id to no other URL."""
    apideck.fail(faults.redirect(f"{apideck.vault_origin}/vault/sessions"))

    await service.post("/vault-session", headers=bearer(issuer.token()))

    assert len(apideck.requests) == 1
    assert apideck.minted == []
