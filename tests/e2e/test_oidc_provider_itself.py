"""The OpenID provider behaves as the other tests expect."""

from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from tests.support.http import bearer
from tests.support.oidc_provider import (
    EDDSA_RESOURCE,
    ES256_RESOURCE,
    JWT_RESOURCE,
    OPAQUE_RESOURCE,
    SECRET,
    OidcProvider,
    missing,
)
from tests.support.waiting import http_client

pytestmark = pytest.mark.skipif(missing() is not None, reason=str(missing()))


def published_keys(provider: OidcProvider) -> Any:
    """Return the JWK Set that the discovery document names."""
    with http_client() as client:
        discovery = client.get(f"{provider.issuer}/.well-known/openid-configuration").json()
        assert discovery["issuer"] == provider.issuer
        return client.get(discovery["jwks_uri"]).json()


def verified(token: str, jwks: Any, algorithm: str) -> jwt.Token:
    """Verify a token's signature with the published keys."""
    return jwt.decode(token, KeySet.import_key_set(jwks), algorithms=[algorithm])


def active(provider: OidcProvider, token: str) -> bool:
    """Return whether introspection says that a token is active (RFC 7662)."""
    url = f"{provider.issuer}/token/introspection"
    with http_client() as client:
        response = client.post(url, data={"token": token}, auth=("vault-bff", SECRET))
    return bool(response.json()["active"])


# RFC 9864 renames EdDSA to Ed25519; issuers still use the old name.
@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")
@pytest.mark.parametrize(
    ("resource", "algorithm"),
    [(JWT_RESOURCE, "RS256"), (ES256_RESOURCE, "ES256"), (EDDSA_RESOURCE, "EdDSA")],
)
def test_access_tokens_verify_with_the_published_keys(
    provider: OidcProvider, resource: str, algorithm: str
) -> None:
    """The provider signs access tokens (RFC 9068) with each kind of key."""
    token = verified(provider.client_credentials(resource), published_keys(provider), algorithm)

    assert (token.header["typ"], token.header["alg"]) == ("at+jwt", algorithm)
    assert token.claims["iss"] == provider.issuer
    assert token.claims["aud"] == "vault-bff"


def test_userinfo_returns_name_email_and_picture(provider: OidcProvider) -> None:
    """The UserInfo endpoint accepts a token that was issued without a resource."""
    token = provider.authorization_code("grace", None)
    with http_client() as client:
        claims = client.get(f"{provider.issuer}/me", headers=bearer(token)).json()

    assert claims == {
        "sub": "grace",
        "name": "Grace Hopper",
        "email": "grace@globex.example",
        "picture": "https://globex.example/grace.png",
    }


def test_a_revoked_token_is_no_longer_active(provider: OidcProvider) -> None:
    """Introspection reports the revocation immediately, and only for that token."""
    revoked, kept = (provider.client_credentials(OPAQUE_RESOURCE) for _ in range(2))
    assert active(provider, revoked)

    provider.revoke(revoked)

    assert not active(provider, revoked)
    assert active(provider, kept)


def test_rotation_adds_keys_and_keeps_the_old_ones(provider: OidcProvider) -> None:
    """After a rotation new tokens are signed with a new key, and old tokens still verify."""
    old_keys, old = published_keys(provider), provider.client_credentials()

    provider.rotate()

    keys = published_keys(provider)
    new = verified(provider.client_credentials(), keys, "RS256")
    assert new.header["kid"] not in {key["kid"] for key in old_keys["keys"]}
    assert verified(old, keys, "RS256").claims["iss"] == new.claims["iss"] == provider.issuer
