"""Every kind of token that a certified OpenID provider issues, through the whole service."""

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from joserfc import jws

from emulators.apideck import ApideckEmulator
from tests.support.http import bearer, problem
from tests.support.oidc_provider import (
    OPAQUE_RESOURCE,
    SECRET,
    OidcProvider,
    missing,
    oidc_provider,
)
from tests.support.service import running, settings_for

pytestmark = pytest.mark.skipif(missing() is not None, reason=str(missing()))

USERS: dict[str, Any] = {"claims": {"consumer_id": "org_id", "account_name": None}}
SERVICES: dict[str, Any] = {
    "kind": "services",
    "required_scope": "vault:sessions",
    "grants": {"robot": ["acme"]},
    "claims": {},
}
INTROSPECTION = {"client_id": "vault-bff", "client_secret": SECRET}


@pytest.fixture(scope="module")
def provider() -> Iterator[OidcProvider]:
    """Run the provider."""
    with oidc_provider() as running_provider:
        yield running_provider


@pytest.fixture
def run(provider: OidcProvider, apideck_url: str, apideck: ApideckEmulator) -> Any:
    """Return what runs a service with the provider as its one issuer."""
    assert apideck.requests == []

    def run_with(**main: Any) -> Any:
        identity = {"issuers": {"main": main}}
        each_by_itself = {"join_identical": False}
        return running(
            settings_for(provider.issuer, apideck_url, identity=identity, session=each_by_itself)
        )

    return run_with


async def test_client_credentials_give_an_access_token_that_mints(
    provider: OidcProvider, run: Any, apideck: ApideckEmulator
) -> None:
    """A service's `at+jwt` mints for the consumer of its grant, and for no other."""
    token = provider.client_credentials()
    assert jws.extract_compact(token.encode()).headers()["typ"] == "at+jwt"

    async with run(**SERVICES) as service:
        granted, refused = [
            await service.post(
                "/vault-session", json={"consumer_id": consumer}, headers=bearer(token)
            )
            for consumer in ("acme", "globex")
        ]

    assert granted.status_code == 201
    assert problem(refused) == (403, "consumer-not-granted")
    assert [minted.consumer_id for minted in apideck.minted] == ["acme"]


async def test_a_person_who_signed_in_gets_their_session(
    provider: OidcProvider, run: Any, apideck: ApideckEmulator
) -> None:
    """Authorization code with PKCE ends in a token whose tenant is the consumer."""
    token = provider.authorization_code("ada")

    async with run(**USERS) as service:
        answer = await service.post("/vault-session", headers=bearer(token))

    assert answer.status_code == 201
    assert apideck.minted[0].consumer_id == "acme"


async def test_an_opaque_token_is_introspected(
    provider: OidcProvider, run: Any, apideck: ApideckEmulator
) -> None:
    """The provider says whose it is; a made-up one it does not know."""
    token = provider.authorization_code("ada", OPAQUE_RESOURCE)
    assert "." not in token

    async with run(**USERS, audience="vault-bff-opaque", introspection=INTROSPECTION) as service:
        answer = await service.post("/vault-session", headers=bearer(token))
        made_up = await service.post("/vault-session", headers=bearer(token[:-4] + "AAAA"))

    assert answer.status_code == 201
    assert problem(made_up) == (401, "unauthenticated")
    assert [minted.consumer_id for minted in apideck.minted] == ["acme"]


async def test_userinfo_names_the_person(
    provider: OidcProvider, run: Any, apideck: ApideckEmulator
) -> None:
    """What the token does not say, the UserInfo endpoint does.

    This provider lets a token with an audience of its own see no UserInfo, so the audience is the
    client that the token was issued to.
    """
    token = provider.authorization_code("ada", None)
    issuer = {
        **USERS,
        "audience": "spa",
        "audience_claim": "client_id",
        "introspection": INTROSPECTION,
        "userinfo": True,
    }

    async with run(**issuer) as service:
        answer = await service.post("/vault-session", headers=bearer(token))

    assert answer.status_code == 201
    assert apideck.minted[0].session["consumer_metadata"] == {
        "user_name": "Ada Byron",
        "email": "ada@acme.example",
    }


async def test_keys_rotate_while_requests_flow(
    provider: OidcProvider, run: Any, apideck: ApideckEmulator
) -> None:
    """Old and new tokens side by side: not one request fails."""
    tokens = [provider.authorization_code("ada")]
    async with run(**USERS) as service:

        async def mint(token: str) -> int:
            answer: httpx.Response = await service.post("/vault-session", headers=bearer(token))
            return answer.status_code

        statuses = await asyncio.gather(*(mint(tokens[0]) for _ in range(10)))
        await asyncio.to_thread(provider.rotate)
        tokens.append(await asyncio.to_thread(provider.authorization_code, "ada"))
        statuses += await asyncio.gather(*(mint(token) for token in tokens * 20))

    assert set(statuses) == {201}
    assert len(apideck.minted) == len(statuses)
