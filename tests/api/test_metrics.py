import platform

import httpx
import pytest
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import capture_logs

from app import __version__
from app.api.problem_types import ALL
from app.api.vault_session import PATH
from app.settings import Settings
from emulators.apideck import ApideckEmulator, faults
from emulators.issuer import DevelopmentIssuer
from tests.support.http import bearer
from tests.support.service import running


async def samples(
    service: httpx.AsyncClient,
) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Return every sample by its name and labels."""
    response = await service.get("/metrics")
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }


async def test_outcomes_are_counted(
    service: httpx.AsyncClient, issuer: DevelopmentIssuer, apideck: ApideckEmulator
) -> None:
    """Sessions, rejections and failures are counted by kind of caller and by problem."""
    apideck.fail(faults.error(401))
    for _ in range(2):
        await service.post("/vault-session", headers=bearer(issuer.token()))
    await service.post("/vault-session")
    await service.request("BREW", "/nowhere")

    found = await samples(service)

    def sessions(outcome: str, kind: str, problem: str) -> float:
        labels = (("caller_kind", kind), ("outcome", outcome), ("problem", problem))
        return found["vault_bff_sessions_total", labels]

    assert sessions("failed", "user", "apideck-misconfigured") == 1
    assert sessions("minted", "user", "none") == 1
    assert sessions("refused", "unknown", "unauthenticated") == 1
    called = (("application", "default"), ("operation", "create_session"))
    for outcome in ("Misconfigured", "Minted"):
        assert found["vault_bff_apideck_requests_total", (*called, ("outcome", outcome))] == 1
    assert found["vault_bff_apideck_request_duration_seconds_count", called] == 2
    assert found["vault_bff_http_requests_in_flight", ()] == 1
    unknown = (("method", "other"), ("route", "none"), ("status", "404"))
    assert found["vault_bff_http_requests_total", unknown] == 1


async def test_time_series_that_alerts_use_start_at_zero(service: httpx.AsyncClient) -> None:
    """Prometheus counts the first failure of a process as an increase."""
    found = await samples(service)

    failures = {one.status for one in ALL if one.status >= 500}
    for status in (201, *failures):
        labels = (("method", "POST"), ("route", PATH), ("status", str(status)))
        assert found["vault_bff_http_requests_total", labels] == 0
    assert found["vault_bff_http_request_duration_seconds_count", (("route", PATH),)] == 0
    for policy in ("user", "service", "total"):
        assert found["vault_bff_rate_limited_total", (("policy", policy),)] == 0
    assert found["vault_bff_unexpected_errors_total", ()] == 0
    for queue in ("sessions", "connections"):
        assert found["vault_bff_requests_shed_total", (("queue", queue),)] == 0
    assert found["vault_bff_rate_limit_store_failures_total", ()] == 0


async def test_a_bug_is_counted_on_any_route(
    service: httpx.AsyncClient, issuer: DevelopmentIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The service counts unexpected errors of session requests and of probes."""

    def fail(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr("app.sessions.service.plan_session", fail)
    monkeypatch.setattr("app.api.health._upstream", fail)
    with capture_logs():  # Rendering the tracebacks would take half a minute.
        responses = [
            await service.post("/vault-session", headers=bearer(issuer.token())),
            await service.get("/readyz"),
        ]

    assert [response.status_code for response in responses] == [500, 500]
    assert (await samples(service))["vault_bff_unexpected_errors_total", ()] == 2


async def test_the_state_of_each_issuers_keys_is_a_metric(
    settings: Settings, issuer: DevelopmentIssuer
) -> None:
    """The metrics have the number and age of keys, whether they are usable, and failed fetches."""
    main = (("issuer", "main"),)
    async with running(settings) as service:
        await service.post("/vault-session", headers=bearer(issuer.token()))
        found = await samples(service)
    assert found["vault_bff_jwks_keys", main] == 3
    assert found["vault_bff_jwks_usable", main] == 1
    assert found["vault_bff_jwks_failing", main] == 0
    assert 0 <= found["vault_bff_jwks_age_seconds", main] < 60

    issuer.fault = "down"
    async with running(settings) as service:
        await service.post("/vault-session", headers=bearer(issuer.token()))
        found = await samples(service)
    assert found["vault_bff_jwks_usable", main] == 0
    assert found["vault_bff_jwks_failing", main] == 1
    assert ("vault_bff_jwks_age_seconds", main) not in found


async def test_the_version_and_the_process_are_in_the_metrics(service: httpx.AsyncClient) -> None:
    """The build is a metric with labels; process metrics have Prometheus' standard names."""
    found = await samples(service)
    labels = (("python_version", platform.python_version()), ("version", __version__))

    assert found["vault_bff_build_info", labels] == 1
    for name in ("cpu_seconds_total", "resident_memory_bytes", "open_fds", "start_time_seconds"):
        assert found[f"process_{name}", ()] > 0


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        (
            "application/openmetrics-text;version=1.0.0;q=0.5,*/*;q=0.1",
            "application/openmetrics-text",
        ),
        ("text/plain;version=0.0.4", "text/plain"),
        ("application/openmetrics-text;version=abc", "application/openmetrics-text"),
        ("text/html", "text/plain"),
    ],
)
async def test_metrics_are_openmetrics_for_scrapers_that_accept_it(
    service: httpx.AsyncClient, accept: str, media_type: str
) -> None:
    """Any other scraper gets the Prometheus text format."""
    response = await service.get("/metrics", headers={"accept": accept})

    assert response.headers["content-type"].startswith(f"{media_type}; version=1.0.0")
    assert response.text.endswith("# EOF\n") is (media_type != "text/plain")
    if media_type != "text/plain":
        families = list(openmetrics.text_string_to_metric_families(response.text))  # type: ignore[no-untyped-call]
        assert {"vault_bff_sessions", "process_cpu_seconds"} <= {one.name for one in families}


async def test_no_metric_contains_an_identity(
    service: httpx.AsyncClient, issuer: DevelopmentIssuer
) -> None:
    """The metrics contain no subject, no consumer and no client address."""
    await service.post("/vault-session?consumer_id=globex", headers=bearer(issuer.token("otto")))

    # The issuer has the same address as the caller.
    text = (await service.get("/metrics")).text.replace('{host="127.0.0.1"', "")

    for personal in ("otto", "Otto", "globex", "127.0.0.1"):
        assert personal not in text
