"""Attacks on customers that several sources share, and on sources without a prefix."""

from collections.abc import Iterator
from typing import Any

import pytest

from emulators.apideck import ApideckEmulator
from emulators.issuer import DevelopmentIssuer
from tests.support.cookie_session_app import CookieSessionApp
from tests.support.http import bearer, problem
from tests.support.service import running, settings_for

PAGE = {
    "origin": "https://app.example.com",
    "x-vault-session": "1",
    "content-type": "application/json",
}
COOKIE = {**PAGE, "cookie": "app_session=adas-session"}


@pytest.fixture
def other() -> Iterator[DevelopmentIssuer]:
    """Serve a second issuer with keys of its own."""
    issuer = DevelopmentIssuer()
    issuer.keys.rotate()
    issuer.keys.retire()  # Emulators in one process start with the same key.
    with issuer.serve():
        yield issuer


def with_cookie_sessions(whoami_url: str, **more: Any) -> dict[str, Any]:
    """Return the settings of an application with cookie sessions."""
    web = {
        "cookie": "app_session",
        "whoami_url": whoami_url,
        "claims": {"consumer_id": "org_id"},
        **more,
    }
    return {"cookie_sessions": {"web": web}}


async def test_sources_of_one_space_open_the_same_customer(
    issuer: DevelopmentIssuer,
    other: DevelopmentIssuer,
    apideck: ApideckEmulator,
    apideck_url: str,
) -> None:
    """Tokens of two issuers and a session cookie of one organization give the same consumer."""
    application = CookieSessionApp()
    application.sessions["adas-session"] = {"sub": 7, "org_id": "acme"}
    space = {"consumer_space": "crm"}
    claims = {"claims": {"consumer_id": "org_id"}}
    with application.serve() as whoami_url:
        identity = {
            "issuers": {
                "main": space,
                "new": {"issuer": other.issuer, "audience": "vault-bff", **claims, **space},
            },
            **with_cookie_sessions(whoami_url, **space),
        }
        settings = settings_for(
            issuer.issuer,
            apideck_url,
            identity=identity,
            cors={"allow_origins": [PAGE["origin"]]},
        )
        async with running(settings) as service:
            for headers in (bearer(issuer.token()), bearer(other.token()), COOKIE):
                response = await service.post("/vault-session", headers=headers, json={})
                assert response.status_code == 201

    assert [one.consumer_id for one in apideck.minted] == ["acme"] * 3


async def test_keys_of_one_issuer_url_are_not_used_for_another(
    issuer: DevelopmentIssuer,
    other: DevelopmentIssuer,
    apideck: ApideckEmulator,
    apideck_url: str,
) -> None:
    """The attacker has the keys of the old domain, and signs for the new one."""
    main = {"issuer": [issuer.issuer, other.issuer]}
    settings = settings_for(issuer.issuer, apideck_url, identity={"issuers": {"main": main}})
    async with running(settings) as service:
        forged = [
            issuer.token(key=other.keys.signing_key("RS256")),
            other.token(key=issuer.keys.signing_key("RS256")),
            issuer.token(iss=other.issuer),
        ]
        for token in forged:
            response = await service.post("/vault-session", headers=bearer(token))
            assert problem(response) == (401, "unauthenticated")
        assert apideck.requests == []

        for valid in (issuer.token(), other.token()):
            response = await service.post("/vault-session", headers=bearer(valid))
            assert response.status_code == 201
        keys = (await service.get("/readyz")).json()["issuers"]

    assert [one.consumer_id for one in apideck.minted] == ["acme", "acme"]
    assert set(keys) == {f"main {issuer.issuer}", f"main {other.issuer}"}


@pytest.mark.parametrize("org_id", ["b-acme", "b-", "b-b-acme"])
async def test_an_id_without_a_prefix_opens_no_customer_of_another_source(
    issuer: DevelopmentIssuer,
    other: DevelopmentIssuer,
    apideck: ApideckEmulator,
    apideck_url: str,
    org_id: str,
) -> None:
    """The attacker names an organization like a customer of the source with the prefix."""
    issuers = {
        "main": {"consumer_space": "first"},
        "new": {
            "issuer": other.issuer,
            "audience": "vault-bff",
            "consumer_prefix": "b-",
            "claims": {"consumer_id": "org_id"},
        },
    }
    settings = settings_for(issuer.issuer, apideck_url, identity={"issuers": issuers})
    async with running(settings) as service:
        attack = await service.post("/vault-session", headers=bearer(issuer.token(org_id=org_id)))
        assert problem(attack) == (403, "missing-claim")
        assert apideck.requests == []

        for valid in (issuer.token(), other.token()):
            response = await service.post("/vault-session", headers=bearer(valid))
            assert response.status_code == 201

    assert [one.consumer_id for one in apideck.minted] == ["acme", "b-acme"]


async def test_a_session_cookie_without_a_prefix_opens_no_customer_of_an_issuer(
    issuer: DevelopmentIssuer, apideck: ApideckEmulator, apideck_url: str
) -> None:
    """The check applies to cookie sessions, too."""
    application = CookieSessionApp()
    application.sessions["adas-session"] = {"sub": 7, "org_id": "m-acme"}
    with application.serve() as whoami_url:
        settings = settings_for(
            issuer.issuer,
            apideck_url,
            identity={
                "issuers": {"main": {"consumer_prefix": "m-"}},
                **with_cookie_sessions(whoami_url, consumer_space="web"),
            },
            cors={"allow_origins": [PAGE["origin"]]},
        )
        async with running(settings) as service:
            response = await service.post("/vault-session", headers=COOKIE, json={})

    assert problem(response) == (403, "missing-claim")
    assert apideck.requests == []


async def test_a_second_location_needs_all_the_checks_of_its_kind(
    issuer: DevelopmentIssuer, apideck: ApideckEmulator, apideck_url: str
) -> None:
    """A token in a cookie needs CSRF protection, even if its issuer accepts bearer tokens."""
    credential = {"bearer": True, "cookie": "spa"}
    settings = settings_for(
        issuer.issuer,
        apideck_url,
        identity={"issuers": {"main": {"credential": credential}}},
        cors={"allow_origins": [PAGE["origin"]]},
    )
    token = issuer.token()
    cookie = {"cookie": f"spa={token}"}
    async with running(settings) as service:
        forged = await service.post("/vault-session", headers=cookie, json={})
        both = await service.post(
            "/vault-session", headers={**PAGE, **cookie, **bearer(token)}, json={}
        )
        assert problem(forged) == (403, "forbidden-origin")
        assert both.status_code == 400
        assert apideck.requests == []

        for valid in ({**PAGE, **cookie}, bearer(token)):
            response = await service.post("/vault-session", headers=valid, json={})
            assert response.status_code == 201

    assert [one.consumer_id for one in apideck.minted] == ["acme", "acme"]
