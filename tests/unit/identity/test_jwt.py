import json
from dataclasses import replace
from typing import Any

import pytest
from joserfc.jwk import ECKey

from app.errors import IdentityProviderUnavailableError, UnauthenticatedError
from app.identity.header_rules import MAX_KID_LENGTH
from app.identity.jwt import signature_algorithms, verify_signature
from app.identity.public_keys import public_keys
from app.identity.sources.signed_token import SignedTokenSource
from app.identity.unverified_token import UnverifiedToken, parse
from app.settings import IdentitySettings, IssuerSettings
from emulators.issuer import DevelopmentIssuer
from tests.support.in_process import Clock, Network, configured_issuer, problem_of
from tests.support.signing import encoded, signed

ISSUER = DevelopmentIssuer()
ALGORITHMS = ["RS256", "PS256", "ES256", "EdDSA", "Ed25519"]
CLAIMS = {"iss": ISSUER.issuer, "aud": "vault-bff", "sub": "ada", "exp": 2000}
KEYS = public_keys({"keys": ISSUER.keys.published()})[0]
SETTINGS = IssuerSettings.model_validate({"issuer": ISSUER.issuer, "audience": "vault-bff"})


def verifier(**more: Any) -> SignedTokenSource:
    """Return a verifier with cached keys, at second 1000."""
    settings = IssuerSettings.model_validate(
        {"issuer": ISSUER.issuer, "audience": "vault-bff", "jwks_uri": "https://x.example", **more}
    )
    clock, identity = Clock(), IdentitySettings(issuers={"main": settings})
    source = SignedTokenSource(
        configured_issuer(settings), identity, Network().fetcher, clock=clock, monotonic=clock
    )
    source.jwks._replace(KEYS)
    return source


def token(algorithm: str = "ES256", **changes: Any) -> UnverifiedToken:
    """Return a valid token with changes of its header; None removes a member."""
    kid = ISSUER.keys.signing_key(algorithm).kid
    header = {"alg": algorithm, "kid": kid, "typ": "at+jwt", **changes}
    header = {name: value for name, value in header.items() if value is not None}
    segments = json.dumps(header).encode(), json.dumps(CLAIMS).encode()
    signing = "Ed25519" if algorithm == "EdDSA" else algorithm
    parsed = parse(signed(ISSUER, *segments, algorithm=signing))
    assert parsed is not None
    assert parsed.header == header
    return parsed


async def reason(parsed: UnverifiedToken, **settings: Any) -> str | None:
    """Return the operator's message about a rejected token."""
    with pytest.raises(UnauthenticatedError) as error:
        await verifier(**settings).verify(parsed)
    assert error.value.detail == "Your sign-in is not valid. Please sign in again."
    return problem_of(error.value)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_a_valid_token_of_every_algorithm_is_accepted(algorithm: str) -> None:
    """Its claims are returned unchanged."""
    assert await verifier().verify(token(algorithm)) == CLAIMS
    assert await verifier(algorithms=[algorithm]).verify(token(algorithm)) == CLAIMS


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_a_signature_that_does_not_verify_is_rejected(algorithm: str) -> None:
    """A signature is not valid for other claims, with any algorithm."""
    valid = token(algorithm)
    header, _, signature = valid.text.split(".")
    claims = {**CLAIMS, "sub": "eve"}
    forged = f"{header}.{encoded(json.dumps(claims).encode())}.{signature}"

    parsed = UnverifiedToken(forged, valid.header, claims, valid.signature)

    assert await reason(parsed) == "the signature does not verify"


def test_a_key_of_another_type_or_curve_does_not_verify_a_token() -> None:
    """The library raises an error for such a key."""
    parsed, es256 = token("ES256"), signature_algorithms(["ES256"])["ES256"]
    [rsa] = [one for one in KEYS if "RS256" in one.algorithms]
    p384 = replace(rsa, key=ECKey.generate_key("P-384"))
    for key in (rsa, p384):
        with pytest.raises(UnauthenticatedError) as error:
            verify_signature(parsed, key, SETTINGS, es256)
        assert problem_of(error.value) == "the signature does not verify"


def test_the_key_of_one_tenant_verifies_no_tokens_of_another() -> None:
    """The `issuer` of the key must be the `iss` of the token, or the template of the entry."""
    parsed, es256 = token("ES256"), signature_algorithms(["ES256"])["ES256"]
    [key] = [one for one in KEYS if "ES256" in one.algorithms]
    template = "https://id.example.com/{tenantid}/v2.0"
    tenants = IssuerSettings.model_validate(
        {
            "issuer": template,
            "audience": "vault-bff",
            "jwks_uri": "https://id.example.com/keys",
            "tenants": ["11111111-2222-3333-4444-555555555555"],
        }
    )
    for own in (None, template, ISSUER.issuer):
        verify_signature(parsed, replace(key, issuer=own), tenants, es256)
    other = template.replace("{tenantid}", "99999999-2222-3333-4444-555555555555")
    with pytest.raises(UnauthenticatedError) as error:
        verify_signature(parsed, replace(key, issuer=other), tenants, es256)
    assert problem_of(error.value) == f"the key is that of another tenant: '{other}'"


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_a_truncated_signature_is_rejected(algorithm: str) -> None:
    """A signature of another length is not valid, with any algorithm."""
    valid = token(algorithm)
    parsed = replace(valid, signature=valid.signature[:-3])

    assert await reason(parsed) == "the signature does not verify"


@pytest.mark.parametrize("algorithm", ["none", "HS256", "es256", "ES384", 5, ["ES256"], None])
async def test_an_algorithm_must_be_allowed(algorithm: Any) -> None:
    """Names are compared exactly, and algorithms with a shared secret are never allowed."""
    assert await reason(token(alg=algorithm)) == "the algorithm is not allowed for this issuer"


async def test_only_the_configured_algorithms_are_allowed() -> None:
    """`EdDSA` and `Ed25519` are two names, each of which must be configured."""
    problem = "the algorithm is not allowed for this issuer"

    assert await reason(token("ES256"), algorithms=["RS256"]) == problem
    assert await reason(token("Ed25519"), algorithms=["EdDSA"]) == problem
    assert await reason(token("EdDSA"), algorithms=["Ed25519"]) == problem


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"crit": ["x"]}, "the header requires an extension (crit or b64)"),
        ({"b64": True}, "the header requires an extension (crit or b64)"),
        ({"kid": 5}, "the kid is not a string, or too long"),
        ({"kid": "x" * (MAX_KID_LENGTH + 1)}, "the kid is not a string, or too long"),
        ({"typ": None}, "the typ is not at+jwt"),
        ({"typ": "JWT"}, "the typ is not at+jwt"),
        ({"typ": "application/"}, "the typ is not at+jwt"),
        ({"typ": "at+jwt;application/"}, "the typ is not at+jwt"),
        ({"typ": ["at+jwt"]}, "the typ is not at+jwt"),
        ({"kid": "x" * MAX_KID_LENGTH}, None),
        ({"kid": "unknown"}, None),
    ],
)
async def test_an_unusable_header_is_rejected(changes: dict[str, Any], problem: str | None) -> None:
    """Extensions, malformed key ids and other types are rejected; an unknown id causes a fetch."""
    if problem is None:
        with pytest.raises(IdentityProviderUnavailableError, match="Try again"):
            await verifier().verify(token(**changes))
        return
    assert await reason(token(**changes)) == problem


@pytest.mark.parametrize(
    "changes",
    [
        {"typ": "AT+JWT"},
        {"typ": "application/at+jwt"},
        {"typ": "Application/AT+jwt"},
        {"kid": None},
        {"x5t": "abc", "jku": "https://evil.example", "jwk": {}},
        {"tenant": "acme"},
    ],
)
async def test_equivalent_and_irrelevant_header_members_are_accepted(
    changes: dict[str, Any],
) -> None:
    """A media type is not case-sensitive and has a long form; one matching key needs no key id."""
    assert await verifier().verify(token(**changes)) == CLAIMS


@pytest.mark.parametrize("typ", [None, "JWT", "jwt", "", "AT+jwt", "application/at+jwt"])
async def test_the_type_of_a_token_can_be_missing_or_general(typ: str | None) -> None:
    """This applies to the header `typ` with `token_type = "any"`."""
    assert await verifier(token_type="any").verify(token(typ=typ)) == CLAIMS


@pytest.mark.parametrize(
    "typ", ["logout+jwt", "application/secevent+jwt", "DPoP+JWT", "dc+sd-jwt", 5, ["JWT"]]
)
async def test_a_token_with_the_type_of_another_kind_is_rejected(typ: Any) -> None:
    """`token_type = "any"` does not accept tokens that their issuer marks as something else."""
    problem = "the typ is that of another kind of token"

    assert await reason(token(typ=typ), token_type="any") == problem


async def test_a_valid_signature_is_not_enough() -> None:
    """The claims are checked, too."""
    assert await reason(token(), audience="other") == "aud does not name this service"
