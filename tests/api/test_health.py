import httpx
from structlog.testing import capture_logs

from app.settings import Settings
from emulators.apideck.emulator import API_KEY
from emulators.issuer import DevelopmentIssuer
from tests.support.apideck_events import sign
from tests.support.events_service import SIGNING_SECRET, fresh_event
from tests.support.http import bearer
from tests.support.service import running, settings_for


async def test_probes_are_logged_at_debug_level(service: httpx.AsyncClient) -> None:
    """Requests to the liveness and readiness probes are logged at debug level only."""
    with capture_logs() as logs:
        await service.get("/livez")
        await service.get("/readyz")

    assert [line["log_level"] for line in logs if line["event"] == "http_request"] == ["debug"] * 2


async def test_probes_can_be_sent_with_head(service: httpx.AsyncClient) -> None:
    """Load balancers that send HEAD get the same status."""
    assert (await service.head("/livez")).status_code == 200
    assert (await service.head("/readyz")).status_code == (await service.get("/readyz")).status_code


async def test_readiness_depends_on_the_issuers_keys(
    settings: Settings, issuer: DevelopmentIssuer
) -> None:
    """The service is ready only if it has usable keys."""
    issuer.fault = "down"
    async with running(settings) as service:
        failed = await service.post("/vault-session", headers=bearer(issuer.token()))
        assert failed.status_code == 503
        response = await service.get("/readyz")
    assert response.status_code == 503
    assert response.json()["issuers"]["main"] == {
        "keys": 0,
        "age_seconds": None,
        "usable": False,
        "failing": True,
    }

    issuer.fault = None
    async with running(settings) as service:
        await service.post("/vault-session", headers=bearer(issuer.token()))
        response = await service.get("/readyz")
    assert response.status_code == 200
    assert response.json()["issuers"]["main"]["keys"] == 3


async def test_a_service_that_needs_no_keys_is_ready_without_keys(
    issuer: DevelopmentIssuer, apideck_url: str
) -> None:
    """With introspection, the service does not need the issuer's keys."""
    introspection = {"client_id": "vault-bff", "client_secret": "opens-nothing"}
    issuers = {"main": {"introspection": introspection}}
    settings = settings_for(issuer.issuer, apideck_url, identity={"issuers": issuers})
    async with running(settings) as service:
        response = await service.get("/readyz")

    assert response.status_code == 200
    assert response.json()["issuers"] == {}


async def test_optional_dependencies_are_reported_without_addresses(
    issuer: DevelopmentIssuer, apideck_url: str
) -> None:
    """The service stays ready while the rate limit store and the webhook target are down."""
    webhooks = {"target_url": "http://127.0.0.1:9/", "signing_secret": SIGNING_SECRET}
    limits = {"store": "redis://127.0.0.1:9/0"}
    settings = settings_for(issuer.issuer, apideck_url, webhooks=webhooks, limits=limits)
    async with running(settings) as service:
        before = await service.get("/readyz")
        await service.post("/vault-session", headers=bearer(issuer.token()))
        body = fresh_event()
        headers = {"x-apideck-signature": sign(body, API_KEY), "content-type": "application/json"}
        event = await service.post("/webhooks/apideck", content=body, headers=headers)
        after = await service.get("/readyz")

    assert event.status_code == 502
    assert before.json()["limits"] == {"store": "shared", "failing": False}
    assert before.json()["webhooks"] == {"default": {"target_failing": False}}
    assert after.status_code == 200
    assert after.json()["limits"] == {"store": "shared", "failing": True}
    assert after.json()["webhooks"] == {"default": {"target_failing": True}}
    assert "127.0.0.1" not in after.text


async def test_limits_in_memory_are_not_reported_as_failing(service: httpx.AsyncClient) -> None:
    """Without a shared store and webhooks, the service reports no failing dependency."""
    ready = (await service.get("/readyz")).json()

    assert ready["limits"] == {"store": "memory", "failing": False}
    assert ready["webhooks"] == {}
