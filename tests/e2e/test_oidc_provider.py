"""Every kind of token of a certified OpenID provider, sent to the complete service."""

import asyncio
from typing import Any

import httpx
import pytest
from joserfc import jws

from emulators.apideck import ApideckEmulator
from tests.support.http import bearer, problem
from tests.support.oidc_provider import (
    OPAQUE_RESOURCE,
    SECRET,
    SPECIAL_CLIENT,
    SPECIAL_SECRET,
    OidcProvider,
    missing,
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


@pytest.fixture
def run(provider: OidcProvider, apideck_url: str, apideck: ApideckEmulator) -> Any:
    """Return a function that runs a service with the provider as its only issuer."""
    assert apideck.requests == []

    def run_with(**main: Any) -> Any:
        identity = {"issuers": {"main": main}}
        no_sharing = {"join_identical": False}
        return running(
            settings_for(provider.issuer, apideck_url, identity=identity, session=no_sharing)
        )

    return run_with


async def test_a_client_credentials_token_creates_a_session(
    provider: OidcProvider, run: Any, apideck: ApideckEmulator
) -> None:
    """The access token of a service creates sessions for granted consumers only."""
    token = provider.client_credentials()
    assert jws.extract_compact(token.encode()).headers()["typ"] == "at+jwt"

    async with run(**SERVICES) as service:
        granted, rejected = [
            await service.post(
                "/vault-session", json={"consumer_id": consumer}, headers=bearer(token)
            )
            for consumer in ("acme", "globex")
        ]

    assert granted.status_code == 201
    assert problem(rejected) == (403, "consumer-not-granted")
    assert [minted.consumer_id for minted in apideck.minted] == ["acme"]


async def test_an_authorization_code_token_creates_a_session(
    provider: OidcProvider, run: Any, apideck: ApideckEmulator
) -> None:
    """The token of a user who signed in with PKCE creates a session for their organisation."""
    token = provider.authorization_code("ada")

    async with run(**USERS) as service:
        response = await service.post("/vault-session", headers=bearer(token))

    assert response.status_code == 201
    assert apideck.minted[0].consumer_id == "acme"


async def test_an_opaque_token_is_introspected(
    provider: OidcProvider, run: Any, apideck: ApideckEmulator
) -> None:
    """The service accepts an opaque token of the provider, and rejects a made-up token."""
    token = provider.authorization_code("ada", OPAQUE_RESOURCE)
    assert "." not in token

    async with run(**USERS, audience="vault-bff-opaque", introspection=INTROSPECTION) as service:
        response = await service.post("/vault-session", headers=bearer(token))
        made_up = await service.post("/vault-session", headers=bearer(token[:-4] + "AAAA"))

    assert response.status_code == 201
    assert problem(made_up) == (401, "unauthenticated")
    assert [minted.consumer_id for minted in apideck.minted] == ["acme"]


@pytest.mark.parametrize("authentication", ["client_secret_basic", "client_secret_post"])
async def test_client_credentials_may_have_special_characters(
    provider: OidcProvider, run: Any, authentication: str
) -> None:
    """The provider receives the client id and the secret as they are configured."""
    token = provider.authorization_code("ada", OPAQUE_RESOURCE)
    introspection = {
        "client_id": SPECIAL_CLIENT,
        "client_secret": SPECIAL_SECRET,
        "authentication": authentication,
    }

    async with run(**USERS, audience="vault-bff-opaque", introspection=introspection) as service:
        response = await service.post("/vault-session", headers=bearer(token))

    assert response.status_code == 201


async def test_userinfo_completes_the_claims(
    provider: OidcProvider, run: Any, apideck: ApideckEmulator
) -> None:
    """If the token has no name and no email, the session has those of the UserInfo response.

    This provider allows UserInfo only for tokens without a resource, so the audience is checked by
    the claim `client_id`.
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
        response = await service.post("/vault-session", headers=bearer(token))

    assert response.status_code == 201
    assert apideck.minted[0].session["consumer_metadata"] == {
        "user_name": "Ada Byron",
        "email": "ada@acme.example",
    }


async def test_tokens_work_during_a_key_rotation(
    provider: OidcProvider, run: Any, apideck: ApideckEmulator
) -> None:
    """Tokens that are signed with the old and the new key work at the same time."""
    tokens = [provider.authorization_code("ada")]
    async with run(**USERS) as service:

        async def mint(token: str) -> int:
            response: httpx.Response = await service.post("/vault-session", headers=bearer(token))
            return response.status_code

        statuses = await asyncio.gather(*(mint(tokens[0]) for _ in range(10)))
        await asyncio.to_thread(provider.rotate)
        tokens.append(await asyncio.to_thread(provider.authorization_code, "ada"))
        statuses += await asyncio.gather(*(mint(token) for token in tokens * 20))

    assert set(statuses) == {201}
    assert len(apideck.minted) == len(statuses)
