"""Who can correct a request that Apideck rejected: the caller or the operator."""

from typing import Any

import httpx

from emulators.apideck import ApideckEmulator, faults
from emulators.issuer import DevelopmentIssuer
from tests.support.http import bearer, pointers, problem
from tests.support.service import running, settings_for

REFUSED = (502, "apideck-rejected-request")


async def test_a_redirect_target_that_is_not_registered_at_apideck_is_a_502(
    service: httpx.AsyncClient, issuer: DevelopmentIssuer, apideck: ApideckEmulator
) -> None:
    """Only the operator can register it at Apideck, so the caller cannot correct the request."""
    apideck.protect_redirects(["https://other.example"])

    response = await service.post(
        "/vault-session", json={"return_to": "home"}, headers=bearer(issuer.token())
    )

    assert problem(response) == REFUSED
    assert apideck.minted == []


async def test_a_field_of_the_caller_that_apideck_rejects_is_named(
    issuer: DevelopmentIssuer, apideck: ApideckEmulator, apideck_url: str
) -> None:
    """The caller can correct it, so the problem is a 422 with its pointer."""
    allowed: dict[str, Any] = {"users_may_set": ["theme", "settings"]}
    apideck.fail(faults.error(400, {"theme.logo": "is too large"}))
    async with running(settings_for(issuer.issuer, apideck_url, session=allowed)) as service:
        response = await service.post(
            "/vault-session",
            json={"theme": {"logo": "https://x.example/l.png", "vault_name": "X"}},
            headers=bearer(issuer.token()),
        )

    assert problem(response) == (422, "apideck-rejected-request")
    assert pointers(response) == ["/theme/logo"]
    assert "too large" not in response.text


async def test_metadata_that_apideck_rejects_is_a_422_only_for_services(
    issuer: DevelopmentIssuer, apideck: ApideckEmulator, apideck_url: str
) -> None:
    """A service can correct the metadata that it sent; a user cannot correct a claim."""
    robots = {
        "issuer": issuer.issuer,
        "audience": "services",
        "kind": "services",
        "grants": {"onboarding": ["acme"]},
    }
    apideck.fail(faults.error(400, {"consumer_metadata.email": "is no address"}), times=None)
    settings = settings_for(issuer.issuer, apideck_url, identity={"issuers": {"robots": robots}})
    async with running(settings) as service:
        service_response = await service.post(
            "/vault-session",
            json={"consumer_id": "acme", "consumer_metadata": {"email": "ada"}},
            headers=bearer(issuer.service_token(aud="services")),
        )
        user_response = await service.post("/vault-session", headers=bearer(issuer.token()))

    assert problem(service_response) == (422, "apideck-rejected-request")
    assert pointers(service_response) == ["/consumer_metadata"]
    assert problem(user_response) == REFUSED


async def test_a_revoked_key_is_a_502(
    issuer: DevelopmentIssuer, apideck_url: str, apideck: ApideckEmulator
) -> None:
    """The problem does not mention keys."""
    other_key = {"api_key": "sk_demo_revoked"}
    async with running(settings_for(issuer.issuer, apideck_url, apideck=other_key)) as service:
        response = await service.post("/vault-session", headers=bearer(issuer.token()))

    assert problem(response) == (502, "apideck-misconfigured")
    assert "key" not in response.text
    assert apideck.minted == []
