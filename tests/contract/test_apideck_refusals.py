"""Whose trouble it is when Apideck refuses a request."""

from typing import Any

import httpx

from emulators.apideck import ApideckEmulator, faults
from emulators.issuer import DevelopmentIssuer
from tests.support.http import bearer, pointers, problem
from tests.support.service import running, settings_for

REFUSED = (502, "apideck-rejected-request")


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

    assert problem(answer) == (502, "apideck-misconfigured")
    assert "key" not in answer.text
    assert apideck.minted == []
