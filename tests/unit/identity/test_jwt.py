import json
from typing import Any

import pytest

from app.errors import IdentityProviderUnavailableError, UnauthenticatedError
from app.identity import jwt
from app.identity.discovery import Discovery
from app.identity.jwks import Jwks
from app.identity.jwt import MAX_KID_LENGTH, JwtVerifier, UnverifiedToken
from app.identity.public_keys import public_keys
from app.identity.token_rules import TokenRules
from app.settings import IdentitySettings, IssuerSettings
from emulators.issuer import DevelopmentIssuer
from tests.support.in_process import Clock, Network, told
from tests.support.signing import encoded, signed

ISSUER = DevelopmentIssuer()
ALGORITHMS = ["RS256", "PS256", "ES256", "EdDSA", "Ed25519"]
CLAIMS = {"iss": ISSUER.issuer, "aud": "vault-bff", "sub": "ada", "exp": 2000}


def verifier(**more: Any) -> JwtVerifier:
    """Return a verifier with the issuer's keys at hand, at second 1000."""
    settings = IssuerSettings.model_validate(
        {"issuer": ISSUER.issuer, "audience": "vault-bff", "jwks_uri": "https://x.example", **more}
    )
    fetcher, clock = Network().fetcher, Clock()
    identity = IdentitySettings(issuers={"main": settings})
    jwks = Jwks("main", settings, identity, Discovery(settings, fetcher), fetcher, clock=clock)
    jwks._replace(public_keys({"keys": ISSUER.keys.published()})[0], 0)
    return JwtVerifier(settings, jwks, TokenRules(settings, clock))


def token(algorithm: str = "ES256", **changes: Any) -> UnverifiedToken:
    """Return a token that holds, but for changes of its header; None leaves a member out."""
    kid = ISSUER.keys.signing_key(algorithm).kid
    header = {"alg": algorithm, "kid": kid, "typ": "at+jwt", **changes}
    header = {name: value for name, value in header.items() if value is not None}
    segments = json.dumps(header).encode(), json.dumps(CLAIMS).encode()
    signing = "Ed25519" if algorithm == "EdDSA" else algorithm
    made = jwt.parse(signed(ISSUER, *segments, algorithm=signing))
    assert made is not None
    assert made.header == header
    return made


async def reason(made: UnverifiedToken, **settings: Any) -> str | None:
    """Return why a token is refused, having checked that its sender does not learn it."""
    with pytest.raises(UnauthenticatedError) as error:
        await verifier(**settings).verify(made)
    detail, why = told(error.value)
    assert detail == "The access token is not valid."
    return why


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_a_good_token_of_every_algorithm_holds(algorithm: str) -> None:
    """What it proves is its claims, as they are."""
    assert await verifier().verify(token(algorithm)) == CLAIMS
    assert await verifier(algorithms=[algorithm]).verify(token(algorithm)) == CLAIMS


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_a_signature_that_does_not_verify_is_refused(algorithm: str) -> None:
    """Of whatever algorithm it is, changed claims have no signature."""
    good = token(algorithm)
    header, _, signature = good.text.split(".")
    claims = {**CLAIMS, "sub": "eve"}
    forged = f"{header}.{encoded(json.dumps(claims).encode())}.{signature}"

    made = UnverifiedToken(forged, good.header, claims)

    assert await reason(made) == "the signature does not verify"


async def test_a_signature_of_no_length_that_a_key_makes_is_refused() -> None:
    """Whatever the cryptography raises, it is the token that is wrong."""
    good = token()
    made = UnverifiedToken(good.text[:-4], good.header, good.claims)

    assert await reason(made) == "the signature does not verify"


@pytest.mark.parametrize("algorithm", ["none", "HS256", "es256", "ES384", 5, ["ES256"], None])
async def test_an_algorithm_must_be_among_the_issuers(algorithm: Any) -> None:
    """Exactly so spelt, and none of those that need a secret."""
    assert await reason(token(alg=algorithm)) == "its algorithm is not allowed for this issuer"


async def test_the_issuers_algorithms_are_those_of_its_settings() -> None:
    """A sound one that is not among them is refused, as is one under its other name."""
    why = "its algorithm is not allowed for this issuer"

    assert await reason(token("ES256"), algorithms=["RS256"]) == why
    assert await reason(token("Ed25519"), algorithms=["EdDSA"]) == why
    assert await reason(token("EdDSA"), algorithms=["Ed25519"]) == why


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"crit": ["x"]}, "it asks for an extension (crit or b64)"),
        ({"b64": True}, "it asks for an extension (crit or b64)"),
        ({"kid": 5}, "its kid is not a string, or too long"),
        ({"kid": "x" * (MAX_KID_LENGTH + 1)}, "its kid is not a string, or too long"),
        ({"typ": None}, "its typ is not at+jwt"),
        ({"typ": "JWT"}, "its typ is not at+jwt"),
        ({"typ": "application/"}, "its typ is not at+jwt"),
        ({"typ": "at+jwt;application/"}, "its typ is not at+jwt"),
        ({"typ": ["at+jwt"]}, "its typ is not at+jwt"),
        ({"kid": "x" * MAX_KID_LENGTH}, None),
        ({"kid": "unknown"}, None),
    ],
)
async def test_a_header_that_asks_for_more_is_refused(
    changes: dict[str, Any], why: str | None
) -> None:
    """Extensions, strange key ids and other kinds of tokens; an unknown key is looked for."""
    if why is None:
        with pytest.raises(IdentityProviderUnavailableError, match="Try again"):
            await verifier().verify(token(**changes))
        return
    assert await reason(token(**changes)) == why


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
async def test_what_means_the_same_or_nothing_is_taken(changes: dict[str, Any]) -> None:
    """A media type ignores case and has a long form; a token may name no key, if one fits."""
    assert await verifier().verify(token(**changes)) == CLAIMS


@pytest.mark.parametrize("typ", [None, "JWT", "jwt", "", "AT+jwt", "application/at+jwt"])
async def test_a_token_may_have_no_type_of_its_own(typ: str | None) -> None:
    """With `token_type = "any"` the header `typ` may be missing or general."""
    assert await verifier(token_type="any").verify(token(typ=typ)) == CLAIMS


@pytest.mark.parametrize(
    "typ", ["logout+jwt", "application/secevent+jwt", "DPoP+JWT", "dc+sd-jwt", 5, ["JWT"]]
)
async def test_a_token_that_names_another_kind_is_rejected(typ: Any) -> None:
    """`token_type = "any"` does not accept tokens that their issuer marks as something else."""
    why = "its typ is that of another kind of token"

    assert await reason(token(typ=typ), token_type="any") == why


async def test_a_token_that_verifies_must_keep_the_rules() -> None:
    """A good signature under an expired token proves nothing."""
    assert await reason(token(), audience="other") == "aud does not name this service"


@pytest.mark.parametrize(
    "text", ["", "abc", "a.b", "a.b.c.d", "a..c", ".b.c", "a.b.", "a.b.c=", "ä.b.c"]
)
def test_what_is_no_compact_token_is_not_taken_apart(text: str) -> None:
    """It may be an opaque token, which is for others to judge."""
    assert jwt.parse(text) is None


@pytest.mark.parametrize(
    ("header", "claims", "why"),
    [
        ("e30", encoded(b"[]"), "its payload is not a JSON object"),
        (encoded(b"5"), "e30", "its header is not a JSON object"),
        ("a", "e30", "its header is not JSON"),
        ("e30", "a", "its payload is not JSON"),
        (encoded(b"{"), "e30", "its header is not JSON"),
        ("e30", encoded(b'{"a":1,"a":2}'), "its payload is not JSON"),
        ("e30", encoded(b"\xff"), "its payload is not JSON"),
    ],
)
def test_a_token_of_other_parts_is_refused(header: str, claims: str, why: str) -> None:
    """Header and payload must be JSON objects; the operator reads which one is not."""
    with pytest.raises(UnauthenticatedError) as error:
        jwt.parse(f"{header}.{claims}.c2ln")

    assert told(error.value) == ("The access token is not valid.", why)


@pytest.mark.parametrize("name", ["a", "ab", "abc", "abcd", "\xff\xfe?>"])
def test_parts_of_every_length_are_read(name: str) -> None:
    """Segments have no padding (RFC 7515 section 2), whatever length their bytes have."""
    header = {"typ": name}
    text = f"{encoded(json.dumps(header, ensure_ascii=False).encode())}.{encoded(b'{}')}.c2ln"

    assert jwt.parse(text) == UnverifiedToken(text, header, {})


def test_a_token_taken_apart_shows_nothing_of_itself() -> None:
    """Whoever logs one logs no credential and nobody's claims."""
    assert repr(token()) == "UnverifiedToken()"
