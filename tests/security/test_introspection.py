"""Introspection responses without `sub`, `iss`, `exp` or `aud` (RFC 7662 section 2.2).

On rejection Apideck must receive no request.
"""

from typing import Any

import pytest

from emulators.apideck import ApideckEmulator
from emulators.issuer import DevelopmentIssuer
from tests.support.http import bearer, problem
from tests.support.service import running, settings_for

SERVICE = {"client_id": "vault-bff", "client_secret": "opens-nothing"}
ONBOARDING = {"client_id": "onboarding", "scope": "vault:sessions"}
CLIENT = {"aud": "vault-bff-services", "scope": "vault:sessions"}
PERSONAL = ["sub", "org_id", "org_name", "name", "email", "picture", "roles"]


def opaque(issuer: DevelopmentIssuer, omit: list[str], **claims: Any) -> str:
    """Return an opaque token whose introspection response lacks some members."""
    token = issuer.opaque_token(**claims)
    for name in omit:
        issuer.opaque[token].pop(name, None)
    return token


def two_issuers(issuer: DevelopmentIssuer, apideck_url: str, **introspection: Any) -> Any:
    """Return settings for services, identified by client id in their own header, and for people."""
    services = {
        "issuer": issuer.issuer,
        "audience": "vault-bff-services",
        "kind": "services",
        "required_scope": "vault:sessions",
        "credential": {"header": "x-service-token"},
        "grants": {"onboarding": ["*"], "ada": ["*"], "spa": ["*"]},
        "introspection": {**SERVICE, "subject_claim": "client_id", **introspection},
    }
    main = {"introspection": SERVICE}
    return settings_for(
        issuer.issuer, apideck_url, identity={"issuers": {"main": main, "services": services}}
    )


async def test_a_client_without_a_subject_is_a_service(
    issuer: DevelopmentIssuer, apideck: ApideckEmulator, apideck_url: str
) -> None:
    """The response is that of django-oauth-toolkit: neither `sub`, `iss` nor `aud`."""
    token = opaque(issuer, [*PERSONAL, "iss", "aud"], **ONBOARDING)
    for allowed, status in ((False, 401), (True, 201)):
        settings = two_issuers(issuer, apideck_url, allow_missing_audience=allowed)
        async with running(settings) as service:
            response = await service.post(
                "/vault-session", json={"consumer_id": "acme"}, headers={"x-service-token": token}
            )
        assert response.status_code == status

    assert [minted.consumer_id for minted in apideck.minted] == ["acme"]


@pytest.mark.parametrize(
    "claims",
    [
        {"sub": "ada", "client_id": "onboarding"},
        {"sub": "onboarding", "client_id": "onboarding"},
        {"sub": "onboarding", "client_id": "spa"},
        {"sub": None, "username": "onboarding", "client_id": "onboarding"},
        {"sub": None, "client_id": None},
        {"sub": None, "client_id": "Onboarding"},
        {"sub": None, "client_id": "onboarding", "active": "true"},
        {"sub": None, "client_id": "onboarding", "active": 1},
        {"sub": None, "client_id": "onboarding", "aud": "vault-bff"},
        {"sub": None, "client_id": "onboarding", "exp": 1},
        {"sub": None, "client_id": "onboarding", "iss": "https://evil.example"},
        {"sub": None, "client_id": "onboarding", "scope": "openid"},
        {"sub": None, "client_id": "onboarding", "scope": None},
    ],
)
async def test_no_person_gets_the_grant_of_a_client(
    issuer: DevelopmentIssuer, apideck: ApideckEmulator, apideck_url: str, claims: dict[str, Any]
) -> None:
    """The attack: a person's user name is a client id, or a service's client signs people in."""
    absent = [name for name, value in claims.items() if value is None]
    given = {name: value for name, value in claims.items() if value is not None}
    token = opaque(issuer, absent, **{**CLIENT, **given})
    async with running(two_issuers(issuer, apideck_url)) as service:
        response = await service.post(
            "/vault-session", json={"consumer_id": "globex"}, headers={"x-service-token": token}
        )

    assert response.status_code in {401, 403}
    assert apideck.requests == []


async def test_a_service_and_a_person_of_the_same_name_have_separate_rate_limits(
    issuer: DevelopmentIssuer, apideck: ApideckEmulator, apideck_url: str
) -> None:
    """The attack: a person whose `sub` is a client id uses up the limit of the service."""
    limits = {"per_user": "1/hour", "per_service": "1/hour"}
    settings = two_issuers(issuer, apideck_url).model_copy(
        update={"limits": settings_for(issuer.issuer, apideck_url, limits=limits).limits}
    )
    person = opaque(issuer, [], sub="onboarding")
    client = opaque(issuer, PERSONAL, aud="vault-bff-services", **ONBOARDING)
    async with running(settings) as service:
        statuses = [
            (await service.post("/vault-session", json=body, headers=headers)).status_code
            for headers, body in (
                (bearer(person), {}),
                (bearer(person), {}),
                ({"x-service-token": client}, {"consumer_id": "globex"}),
            )
        ]

    assert statuses == [201, 429, 201]
    assert [minted.consumer_id for minted in apideck.minted] == ["acme", "globex"]


async def test_a_clients_token_without_a_subject_is_not_a_user(
    issuer: DevelopmentIssuer, apideck: ApideckEmulator, apideck_url: str
) -> None:
    """An issuer of users requires the claim that identifies a user."""
    token = opaque(issuer, ["sub"], client_id="onboarding")
    async with running(two_issuers(issuer, apideck_url)) as service:
        response = await service.post("/vault-session", headers=bearer(token))

    assert problem(response) == (401, "unauthenticated")
    assert apideck.requests == []
