"""The settings in docs/identity-providers.md, tested with tokens as the providers document them."""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from app.check.token import check_token
from app.settings import IdentitySettings
from emulators.apideck import ApideckEmulator
from emulators.issuer import DevelopmentIssuer
from tests.support.http import bearer, problem
from tests.support.service import running, settings_for

PAGE = Path(__file__).parent.parent.parent / "docs" / "identity-providers.md"
BLOCKS = {
    re.sub(r"\W+", "-", name.lower()): tomllib.loads(block)
    for name, block in re.findall(
        r"^## (.+?)\n(?:(?!^## ).)*?```toml\n(.*?)```", PAGE.read_text(), re.MULTILINE | re.DOTALL
    )
}


@dataclass(frozen=True)
class DocumentedToken:
    """A token as a provider documents it, except for `iss` and times, which are added.

    Attributes:
        claims: the claims of the token.
        consumer: the id of the consumer whose session the token starts.
        rejected: changed claims; the service must reject a token with any of these changes.
        typ: the `typ` header, if the token has one.
        algorithm: the signature algorithm.
        header: the name of the request header, if the token is not sent as a bearer token.
    """

    claims: dict[str, Any]
    consumer: str
    rejected: tuple[dict[str, Any], ...]
    typ: str | None = None
    algorithm: str = "RS256"
    header: str | None = None


TENANT = "11111111-2222-3333-4444-555555555555"
DOCUMENTED_TOKENS = {
    "auth0": DocumentedToken(
        {
            "sub": "auth0|123456",
            "aud": [
                "https://vault-bff.example.com",
                "https://example.eu.auth0.com/userinfo",
            ],
            "client_id": "my_client_id",
            "scope": "openid profile email",
            "org_id": "org_9ybsU1dN2dKfDkBi",
        },
        consumer="org_9ybsU1dN2dKfDkBi",
        typ="at+jwt",
        rejected=({"aud": "my_client_id"},),
    ),
    "okta": DocumentedToken(
        {
            "ver": 1,
            "sub": "ada@acme.example",
            "uid": "00ugrenMeqvYla4HW0g3",
            "aud": "api://vault-bff",
            "cid": "0oabskvc6442nkvQO0h7",
            "scp": ["openid", "vault:sessions"],
            "tenant_id": "acme",
        },
        consumer="acme",
        rejected=({"aud": "0oabskvc6442nkvQO0h7"},),
    ),
    "microsoft-entra-id": DocumentedToken(
        {
            "sub": "AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bbtaQ",
            "aud": "66666666-7777-8888-9999-000000000000",
            "tid": TENANT,
            "oid": "00000000-0000-0000-66f3-3332eca7ea81",
            "scp": "vault.sessions",
            "name": "Ada Byron",
            "preferred_username": "ada@acme.example",
            "ver": "2.0",
        },
        consumer=TENANT,
        typ="JWT",
        rejected=({"scp": "User.Read"},),
    ),
    "microsoft-entra-id-many-directories": DocumentedToken(
        {
            "iss": f"https://login.microsoftonline.com/{TENANT}/v2.0",
            "sub": "AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bbtaQ",
            "aud": "66666666-7777-8888-9999-000000000000",
            "tid": TENANT,
            "scp": "vault.sessions",
            "ver": "2.0",
        },
        consumer=TENANT,
        typ="JWT",
        rejected=(
            {"scp": "User.Read"},
            {"tid": "22222222-3333-4444-5555-666666666666"},
            {
                "iss": "https://login.microsoftonline.com/33333333-4444-5555-6666-777777777777/v2.0",
                "tid": "33333333-4444-5555-6666-777777777777",
            },
        ),
    ),
    "ad-fs": DocumentedToken(
        {
            "sub": "ada",
            "aud": "https://vault-bff.example.com",
            "apptype": "Public",
            "appid": "77777777-8888-9999-0000-111111111111",
            "scp": "openid vault.sessions",
            "ver": "1.0",
            "tenant_id": "acme",
        },
        consumer="acme",
        typ="JWT",
        rejected=(
            {"iss": "https://adfs.example.com/adfs/services/trust"},
            {"scp": "openid"},
        ),
    ),
    "keycloak": DocumentedToken(
        {
            "sub": "f:1:ada",
            "aud": ["vault-bff", "account"],
            "typ": "Bearer",
            "azp": "web",
            "scope": "openid profile email",
            "tenant_id": "acme",
            "tenant_name": "Acme Inc.",
        },
        consumer="acme",
        typ="JWT",
        rejected=({"aud": "account"},),
    ),
    "amazon-cognito": DocumentedToken(
        {
            "sub": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
            "token_use": "access",
            "scope": "openid profile",
            "client_id": "1h57kf5cpq17m0eml12EXAMPLE",
            "username": "ada",
            "custom:tenant": "acme",
        },
        consumer="acme",
        rejected=({"client_id": None, "aud": "1h57kf5cpq17m0eml12EXAMPLE", "token_use": "id"},),
    ),
    "clerk": DocumentedToken(
        {
            "v": 2,
            "sub": "user_123",
            "sid": "sess_123",
            "azp": "https://app.example.com",
            "fva": [7, -1],
            "sts": "active",
            "o": {"id": "org_123", "rol": "admin", "slg": "acme"},
        },
        consumer="org_123",
        typ="JWT",
        rejected=({"azp": "https://evil.example"}, {"sts": "pending"}),
    ),
    "supabase": DocumentedToken(
        {
            "sub": "123e4567-e89b-12d3-a456-426614174000",
            "aud": "authenticated",
            "role": "authenticated",
            "email": "ada@acme.example",
            "app_metadata": {"provider": "email", "tenant_id": "acme"},
            "user_metadata": {"full_name": "Ada Byron", "tenant_id": "globex"},
        },
        consumer="acme",
        typ="JWT",
        algorithm="ES256",
        rejected=({"aud": "anon"}, {"client_id": "9a8b7c6d-5e4f-3a2b-1c0d-9e8f7a6b5c4d"}),
    ),
    "kubernetes": DocumentedToken(
        {
            "sub": "system:serviceaccount:prod:onboarding",
            "aud": ["vault-bff"],
            "jti": "aed34954-b33a-4142-b1ec-389d6bbb4936",
            "kubernetes.io": {"namespace": "prod", "serviceaccount": {"name": "onboarding"}},
        },
        consumer="acme",
        rejected=({"aud": ["https://kubernetes.default.svc"]},),
    ),
    "canaille": DocumentedToken(
        {
            "sub": "ada",
            "aud": ["vault-bff"],
            "auth_time": 1796022424,
            "name": "Ada Byron",
            "family_name": "Byron",
            "email": "ada@acme.example",
        },
        consumer="ada",
        typ="JWT",
        algorithm="RS512",
        rejected=({"aud": ["spa"]}, {"nonce": "n-0S6_WzA2Mj"}),
    ),
    "cloudflare-access": DocumentedToken(
        {
            "sub": "7335d417-61da-459d-899c-0a01c76a2f94",
            "aud": ["4714c1358e65fe4b408ad6d432a5f878f08194bdb4752441fd56faefa9b2b6f2"],
            "email": "ada@acme.example",
            "type": "app",
            "custom": {"tenant_id": "acme"},
        },
        consumer="acme",
        typ="JWT",
        rejected=({"aud": ["another-application"]},),
        header="Cf-Access-Jwt-Assertion",
    ),
}


def token_of(
    issuer: DevelopmentIssuer,
    documented: DocumentedToken,
    iss: str,
    changes: dict[str, Any] | None = None,
) -> str:
    """Return a documented token, with changes; None removes a claim."""
    claims = {**issuer.times(), "iss": iss, **documented.claims, **(changes or {})}
    absent = [name for name, value in claims.items() if value is None]
    return issuer.sign(
        claims, algorithm=documented.algorithm, headers={"typ": documented.typ}, omit=absent
    )


def test_every_provider_on_the_page_is_tested() -> None:
    """Every block of settings on the page has a token in this file."""
    assert set(BLOCKS) == set(DOCUMENTED_TOKENS)


@pytest.mark.parametrize("name", DOCUMENTED_TOKENS)
async def test_check_token_passes_for_documented_tokens_only(
    issuer: DevelopmentIssuer, apideck_url: str, name: str
) -> None:
    """All checks pass for a documented token, and one fails for any other token or settings."""
    documented = DOCUMENTED_TOKENS[name]
    [(entry, block)] = BLOCKS[name]["identity"]["issuers"].items()
    overrides = {"jwks_uri": f"{issuer.issuer}/jwks", "userinfo": False}
    identity = IdentitySettings.model_validate({"issuers": {entry: {**block, **overrides}}})
    settings = settings_for(issuer.issuer, apideck_url).model_copy(update={"identity": identity})
    for changes in ({}, *documented.rejected):
        token = token_of(issuer, documented, block["issuer"], changes)
        results = [one async for one in check_token(settings, token)]
        failed = [str(one) for one in results if one.well is False]
        assert (not failed) is (not changes)
        assert results[-1].well is (not changes)

    # Without the documented settings, the failed checks name the settings to change.
    base_settings = {name: block[name] for name in ("issuer", "tenants") if name in block}
    plain = {**base_settings, "audience": "itself", "jwks_uri": overrides["jwks_uri"]}
    identity = IdentitySettings.model_validate({"issuers": {entry: plain}})
    settings = settings.model_copy(update={"identity": identity})
    token = token_of(issuer, documented, block["issuer"])
    failed = [str(one) async for one in check_token(settings, token) if one.well is False]
    needed = {"AUDIENCE"} | ({"TOKEN_TYPE"} & {key.upper() for key in block})
    needed |= {"ALGORITHMS"} & {key.upper() for key in block}
    assert all(any(f"__{one} changes this" in line for line in failed) for one in needed)


@pytest.mark.parametrize("name", DOCUMENTED_TOKENS)
async def test_the_documented_settings_accept_documented_tokens_only(
    issuer: DevelopmentIssuer, apideck_url: str, apideck: ApideckEmulator, name: str
) -> None:
    """A documented token starts a session for its tenant; other tokens do not."""
    documented = DOCUMENTED_TOKENS[name]
    [(entry, block)] = BLOCKS[name]["identity"]["issuers"].items()
    # The tests do not have the provider's keys, so the development issuer signs the tokens.
    overrides = {
        "jwks_uri": f"{issuer.issuer}/jwks",
        "userinfo_endpoint": f"{issuer.issuer}/userinfo",
    }
    base = settings_for(issuer.issuer, apideck_url)
    identity = IdentitySettings.model_validate({"issuers": {entry: {**block, **overrides}}})

    async with running(base.model_copy(update={"identity": identity})) as service:
        responses = []
        for changes in ({}, *documented.rejected):
            token = token_of(issuer, documented, block["issuer"], changes)
            headers = {documented.header: token} if documented.header else bearer(token)
            body = {"consumer_id": "acme"} if block.get("kind") == "services" else {}
            responses.append(await service.post("/vault-session", json=body, headers=headers))

    accepted, *others = responses
    assert accepted.status_code == 201
    assert all(problem(other)[0] in {401, 403} for other in others)
    assert [minted.consumer_id for minted in apideck.minted] == [documented.consumer]
