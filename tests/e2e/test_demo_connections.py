"""The connections that the demo's server returns."""

import httpx
import pytest
from joserfc.jwk import RSAKey

from demo.__main__ import Demo
from emulators.apideck import ApideckEmulator
from emulators.issuer import DevelopmentIssuer
from tests.support.http import bearer
from tests.support.ports import free_ports

ACCOUNT = "demo-app"


def client_of_demo(issuer: DevelopmentIssuer, monkeypatch: pytest.MonkeyPatch) -> httpx.AsyncClient:
    """Return a client of a demo that uses this issuer, and the Apideck of the environment."""
    monkeypatch.setenv("ISSUER_URL", issuer.issuer)
    return httpx.AsyncClient(transport=httpx.ASGITransport(Demo().app), base_url="http://demo")


@pytest.fixture
def demo(
    issuer: DevelopmentIssuer,
    apideck: ApideckEmulator,
    apideck_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> httpx.AsyncClient:
    """Return a client of a demo with two organisations that have connections."""
    monkeypatch.setenv("APIDECK_URL", apideck_url)
    apideck.connect(ACCOUNT, "acme", "accounting", "xero")
    apideck.connect(ACCOUNT, "acme", "crm", "hubspot").enabled = False
    apideck.connect(ACCOUNT, "globex", "hris", "bamboohr")
    return client_of_demo(issuer, monkeypatch)


async def test_a_user_gets_the_connections_of_the_own_organisation(
    demo: httpx.AsyncClient, issuer: DevelopmentIssuer
) -> None:
    """The list has connected and disabled ones, and none of another organisation."""
    response = await demo.get("/connections", headers=bearer(issuer.token("grace")))

    assert response.json() == [
        {"unified_api": "accounting", "service_id": "xero", "state": "connected"},
        {"unified_api": "crm", "service_id": "hubspot", "state": "disabled"},
    ]


async def test_a_browser_cannot_choose_the_organisation(
    demo: httpx.AsyncClient, issuer: DevelopmentIssuer
) -> None:
    """A request of Otto that names Ada's organisation returns the connections of his own."""
    named = {"x-apideck-consumer-id": "acme", **bearer(issuer.token("otto"))}
    query = {"consumer_id": "acme", "org_id": "acme", "person": "ada"}

    response = await demo.get("/connections", params=query, headers=named)

    assert [one["service_id"] for one in response.json()] == ["bamboohr"]


@pytest.mark.parametrize("how", ["none", "expired", "foreign key", "audience", "issuer", "no org"])
async def test_a_request_without_a_valid_token_is_unauthenticated(
    demo: httpx.AsyncClient, issuer: DevelopmentIssuer, how: str
) -> None:
    """A missing, expired or foreign token is a 401."""
    tokens = {
        "none": "",
        "expired": issuer.token(expires_in=-60),
        "foreign key": issuer.token(
            key=RSAKey.generate_key(2048, {"kid": issuer.keys.published()[0]["kid"]})
        ),
        "audience": issuer.token(aud="another"),
        "issuer": issuer.token(iss="https://other.example"),
        "no org": issuer.token(omit=["org_id"]),
    }

    response = await demo.get("/connections", headers=bearer(tokens[how]))

    assert (response.status_code, response.json()["type"]) == (401, "unauthenticated")


@pytest.mark.parametrize("how", ["rejects the key", "is down"])
async def test_a_failure_of_apideck_is_an_error(
    issuer: DevelopmentIssuer, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """The response is an error, and not an empty list of connections."""
    with ApideckEmulator(["another key"]).serve() as url:
        unused = f"http://127.0.0.1:{free_ports()}"
        monkeypatch.setenv("APIDECK_URL", unused if how == "is down" else url)
        demo = client_of_demo(issuer, monkeypatch)

        response = await demo.get("/connections", headers=bearer(issuer.token()))

    assert (response.status_code, response.json()["type"]) == (502, "apideck-unavailable")
