"""What the demo's own server says is connected, and to whom."""

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
    """Return a client of a demo with this issuer, and the Apideck that the environment names."""
    monkeypatch.setenv("ISSUER_URL", issuer.issuer)
    return httpx.AsyncClient(transport=httpx.ASGITransport(Demo().app), base_url="http://demo")


@pytest.fixture
def demo(
    issuer: DevelopmentIssuer,
    apideck: ApideckEmulator,
    apideck_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> httpx.AsyncClient:
    """Return a client of the demo, two of whose tenants have connected something."""
    monkeypatch.setenv("APIDECK_URL", apideck_url)
    apideck.consumer(ACCOUNT, "acme").connections.update(
        {("accounting", "xero"): True, ("crm", "hubspot"): False}
    )
    apideck.consumer(ACCOUNT, "globex").connections[("hris", "bamboohr")] = True
    return client_of_demo(issuer, monkeypatch)


async def test_a_person_is_told_what_their_organisation_has(
    demo: httpx.AsyncClient, issuer: DevelopmentIssuer
) -> None:
    """Connected and disabled are told apart, and no other organisation's are among them."""
    answer = await demo.get("/connections", headers=bearer(issuer.token("grace")))

    assert answer.json() == [
        {"unified_api": "accounting", "service_id": "xero", "state": "connected"},
        {"unified_api": "crm", "service_id": "hubspot", "state": "disabled"},
    ]


async def test_a_browser_cannot_choose_the_organisation(
    demo: httpx.AsyncClient, issuer: DevelopmentIssuer
) -> None:
    """Otto who names Ada's organisation in every place there is gets his own all the same."""
    named = {"x-apideck-consumer-id": "acme", **bearer(issuer.token("otto"))}
    query = {"consumer_id": "acme", "org_id": "acme", "person": "ada"}

    answer = await demo.get("/connections", params=query, headers=named)

    assert [one["service_id"] for one in answer.json()] == ["bamboohr"]


@pytest.mark.parametrize("how", ["none", "expired", "foreign key", "audience", "issuer", "no org"])
async def test_nobody_else_is_told_anything(
    demo: httpx.AsyncClient, issuer: DevelopmentIssuer, how: str
) -> None:
    """Whoever has no token, or one that does not hold here, is asked to sign in."""
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

    answer = await demo.get("/connections", headers=bearer(tokens[how]))

    assert (answer.status_code, answer.json()["type"]) == (401, "unauthenticated")


@pytest.mark.parametrize("how", ["refuses the key", "is down"])
async def test_what_apideck_does_not_say_is_not_known(
    issuer: DevelopmentIssuer, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """The answer is that it is not known, and not that nothing is connected."""
    with ApideckEmulator(["another key"]).serve() as url:
        nobody = f"http://127.0.0.1:{free_ports()}"
        monkeypatch.setenv("APIDECK_URL", nobody if how == "is down" else url)
        demo = client_of_demo(issuer, monkeypatch)

        answer = await demo.get("/connections", headers=bearer(issuer.token()))

    assert (answer.status_code, answer.json()["type"]) == (502, "apideck-unavailable")
