"""Forged and invalid tokens (RFC 7519, 8725, 9068). Each attack has worked on some verifier.

Every token is sent over HTTP, and Apideck must receive no request.
"""

import hmac
import json
import time
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from joserfc import jwe
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey
from structlog.testing import capture_logs

from app.common.http_limits import MAX_HEAD_BYTES
from app.identity import credentials
from emulators.apideck import ApideckEmulator
from emulators.issuer import DevelopmentIssuer
from tests.support.http import bearer, problem
from tests.support.service import running, settings_for

Attack = Callable[[DevelopmentIssuer], str]
ATTACKS: dict[str, Attack] = {}
FOREIGN = RSAKey.generate_key(2048)
GROUPS = [str(uuid.UUID(int=number)) for number in range(200)]
"""The most groups that Entra puts into a token, which then has 11.6 KB."""
NOW = time.time


def attack(make: Attack) -> Attack:
    """Add an attack to the list, with its own name."""
    ATTACKS[make.__name__] = make
    return make


def encoded(value: Any) -> str:
    """Return JSON, or bytes, as a segment of a token."""
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def with_segment(token: str, position: int, value: Any) -> str:
    """Return a token with one segment replaced and the original signature."""
    segments = token.split(".")
    segments[position] = encoded(value)
    return ".".join(segments)


@attack
def unsigned(issuer: DevelopmentIssuer) -> str:
    """`alg: none` without a signature."""
    claims = issuer.token().split(".")[1]
    return f"{encoded({'alg': 'none', 'typ': 'at+jwt'})}.{claims}."


@attack
def unsigned_with_a_signature(issuer: DevelopmentIssuer) -> str:
    """`alg: none` with a signature."""
    return with_segment(issuer.token(), 0, {"alg": "none", "typ": "at+jwt"})


@attack
def none_in_mixed_case(issuer: DevelopmentIssuer) -> str:
    """`alg: nOnE`, which passes a list that forbids only `none`."""
    return with_segment(issuer.token(), 0, {"alg": "nOnE", "typ": "at+jwt"})


@attack
def hmac_with_the_public_key(issuer: DevelopmentIssuer) -> str:
    """Algorithm confusion: the public RSA key, as PEM, used as an HMAC secret."""
    public = issuer.keys.signing_key("RS256")
    assert isinstance(public, RSAKey)
    header = {"alg": "HS256", "kid": public.kid, "typ": "at+jwt"}
    signed = f"{encoded(header)}.{issuer.token().split('.')[1]}"
    code = hmac.digest(public.as_bytes(private=False), signed.encode(), "sha256")
    return f"{signed}.{encoded(code)}"


@attack
def algorithm_of_another_key_type(issuer: DevelopmentIssuer) -> str:
    """An ES256 header that names the RSA key."""
    kid = issuer.keys.signing_key("RS256").kid
    return issuer.token(algorithm="ES256", headers={"kid": kid})


@attack
def algorithm_that_is_not_allowed(issuer: DevelopmentIssuer) -> str:
    """RS512 is secure, but this issuer's settings do not allow it."""
    return issuer.token(algorithm="RS512", key=issuer.keys.signing_key("RS256"))


@attack
def foreign_key(issuer: DevelopmentIssuer) -> str:
    """An attacker's key with the id of a known key."""
    kid = issuer.keys.signing_key("RS256").kid
    return issuer.token(key=FOREIGN, headers={"kid": kid})


@attack
def unknown_key_id(issuer: DevelopmentIssuer) -> str:
    """An attacker's key with an id of its own."""
    return issuer.token(key=FOREIGN, headers={"kid": "mallory"})


@attack
def key_id_of_another_type(issuer: DevelopmentIssuer) -> str:
    """A kid that is not a string."""
    return issuer.token(headers={"kid": ["rs256-1"]})


@attack
def long_key_id(issuer: DevelopmentIssuer) -> str:
    """A very long kid, which would fill the memory of unknown key ids."""
    return issuer.token(headers={"kid": "x" * 300})


@attack
def embedded_key(issuer: DevelopmentIssuer) -> str:
    """A header `jwk` with the key that signed it (CVE-2018-0114)."""
    return issuer.token(
        key=FOREIGN, headers={"kid": "mallory", "jwk": FOREIGN.as_dict(private=False)}
    )


@attack
def key_from_a_url(issuer: DevelopmentIssuer) -> str:
    """A header `jku` with the URL of the attacker's key set."""
    return issuer.token(key=FOREIGN, headers={"kid": "mallory", "jku": "http://127.0.0.1:1/jwks"})


@attack
def certificate_in_the_header(issuer: DevelopmentIssuer) -> str:
    """A header `x5c` with the attacker's certificate, and `x5u` with its URL."""
    headers = {"kid": "mallory", "x5c": ["TUlJQg=="], "x5u": "http://127.0.0.1:1/cert"}
    return issuer.token(key=FOREIGN, headers=headers)


@attack
def critical_extension(issuer: DevelopmentIssuer) -> str:
    """`crit` names an extension that is not implemented (RFC 7515 section 4.1.11)."""
    return issuer.token(headers={"crit": ["exp"], "exp": 1})


@attack
def unencoded_payload(issuer: DevelopmentIssuer) -> str:
    """`b64: false` changes what is signed (RFC 7797)."""
    return with_segment(issuer.token(), 0, {"alg": "RS256", "b64": False, "crit": ["b64"]})


@attack
def changed_payload(issuer: DevelopmentIssuer) -> str:
    """Another tenant in the payload of a signed token."""
    token = issuer.token()
    other = issuer.token(org_id="globex").split(".")[1]
    header, _, signature = token.split(".")
    return f"{header}.{other}.{signature}"


@attack
def truncated_signature(issuer: DevelopmentIssuer) -> str:
    """A truncated signature."""
    return issuer.token()[:-100]


@attack
def signature_of_zeros(issuer: DevelopmentIssuer) -> str:
    """A signature of zero bytes only (CVE-2022-21449, for ECDSA)."""
    return with_segment(issuer.token(algorithm="ES256"), 2, b"\0" * 64)


@attack
def der_signature(issuer: DevelopmentIssuer) -> str:
    """An ECDSA signature in ASN.1, which JWS does not use."""
    return with_segment(issuer.token(algorithm="ES256"), 2, b"\x30\x06\x02\x01\x01\x02\x01\x01")


@attack
def duplicate_claims(issuer: DevelopmentIssuer) -> str:
    """Two `org_id` members, of which verifier and application may read different ones."""
    claims = b'{"org_id": "acme", "org_id": "globex"}'
    return with_segment(issuer.token(), 1, claims)


@attack
def duplicate_header_members(issuer: DevelopmentIssuer) -> str:
    """Two `alg` members in the header."""
    return with_segment(issuer.token(), 0, b'{"alg": "RS256", "alg": "none"}')


@attack
def encrypted(_: DevelopmentIssuer) -> str:
    """A JWE, which this service does not decrypt."""
    return jwe.encrypt_compact(
        {"alg": "dir", "enc": "A128GCM"}, b"{}", OctKey.generate_key(128), algorithms=None
    )


@attack
def payload_that_is_not_an_object(issuer: DevelopmentIssuer) -> str:
    """A JSON array instead of the claims."""
    return with_segment(issuer.token(), 1, ["acme"])


@attack
def payload_that_is_not_json(issuer: DevelopmentIssuer) -> str:
    """Bytes instead of the claims."""
    return with_segment(issuer.token(), 1, b"\xff\x00")


@attack
def broken_base64(issuer: DevelopmentIssuer) -> str:
    """A segment of a length that base64 cannot have."""
    header, claims, signature = issuer.token().split(".")
    return f"{header}.{claims[: len(claims) // 4 * 4 + 1]}.{signature}"


@attack
def large_with_a_deep_payload(issuer: DevelopmentIssuer) -> str:
    """A payload that almost fills the maximum length, nested as deeply as that allows."""
    payload = b"[" * (MAX_HEAD_BYTES // 2)
    return with_segment(issuer.token(), 1, payload)


@attack
def large_with_many_objects(issuer: DevelopmentIssuer) -> str:
    """Thousands of objects, whose depth has to be checked."""
    objects = b"{}," * (MAX_HEAD_BYTES // 5)
    return with_segment(issuer.token(), 1, b'{"exp": [%b{}]}' % objects)


@attack
def large_with_a_long_number(issuer: DevelopmentIssuer) -> str:
    """A number of thousands of digits, which takes quadratic time to convert."""
    return with_segment(issuer.token(), 1, b'{"exp": %b}' % (b"9" * (MAX_HEAD_BYTES // 2)))


@attack
def large_with_a_foreign_signature(issuer: DevelopmentIssuer) -> str:
    """As many groups as a valid token can have, signed by an attacker."""
    return issuer.token(key=FOREIGN, groups=GROUPS)


@attack
def compressed(issuer: DevelopmentIssuer) -> str:
    """A `zip` header, as for a decompression bomb, which is undefined outside JWE."""
    return issuer.token(key=FOREIGN, headers={"zip": "DEF"})


@attack
def nested(issuer: DevelopmentIssuer) -> str:
    """A valid token inside a token that the attacker signed."""
    return issuer.sign({"nested": issuer.token()}, key=FOREIGN, headers={"cty": "JWT"})


@attack
def foreign_ec_key(issuer: DevelopmentIssuer) -> str:
    """An attacker's P-256 key without a known id."""
    return issuer.token(algorithm="ES256", key=ECKey.generate_key("P-256"))


@attack
def foreign_edwards_key(issuer: DevelopmentIssuer) -> str:
    """An attacker's Ed25519 key without a kid."""
    return issuer.token(
        algorithm="Ed25519", key=OKPKey.generate_key("Ed25519"), headers={"kid": None}
    )


@attack
def id_token(issuer: DevelopmentIssuer) -> str:
    """An ID token proves a sign-in; it grants no access."""
    return issuer.token(typ="JWT")


@attack
def typ_of_a_logout_token(issuer: DevelopmentIssuer) -> str:
    """A logout token of the same issuer for the same audience."""
    return issuer.token(typ="logout+jwt")


@attack
def typ_that_is_not_a_string(issuer: DevelopmentIssuer) -> str:
    """A typ of another JSON type."""
    return with_segment(issuer.token(), 0, {"alg": "RS256", "typ": ["at+jwt"]})


@attack
def no_typ(issuer: DevelopmentIssuer) -> str:
    """A token without a typ."""
    return issuer.token(typ=None)


CLAIMS: dict[str, dict[str, Any]] = {
    "another issuer": {"iss": "https://evil.example"},
    "issuer with a slash": {"iss": "{issuer}/"},
    "issuer in uppercase": {"iss": "HTTP{issuer:4}"},
    "issuer as a list": {"iss": ["{issuer}"]},
    "audience of another service": {"aud": "billing"},
    "audience with the same beginning": {"aud": "vault-bff-staging"},
    "audience as an object": {"aud": {"vault-bff": True}},
    "audience with a number in a list": {"aud": ["vault-bff", 5]},
    "empty list of audiences": {"aud": []},
    "subject as a number": {"sub": 5},
    "empty subject": {"sub": ""},
    "expired": {"exp": lambda: NOW() - 31},
    "expiry as a string": {"exp": lambda: str(int(NOW() + 300))},
    "expiry as a boolean": {"exp": True},
    "expiry of null": {"exp": None},
    "not valid yet": {"nbf": lambda: NOW() + 40},
    "not before as a string": {"nbf": "0"},
    "issued in the future": {"iat": lambda: NOW() + 40},
    "issued as a list": {"iat": [0]},
    "actor as a string": {"act": "robot"},
    "actor without a subject": {"act": {"client_id": "robot"}},
}


@pytest.mark.parametrize("name", ATTACKS)
async def test_a_forged_token_is_rejected(
    service: httpx.AsyncClient, issuer: DevelopmentIssuer, apideck: ApideckEmulator, name: str
) -> None:
    """Each attack is a 401 that does not tell the reason, and Apideck receives no request."""
    with capture_logs() as logs:
        response = await service.post("/vault-session", headers=bearer(ATTACKS[name](issuer)))

    assert problem(response) == (401, "unauthenticated")
    assert "error=" in response.headers["www-authenticate"]
    assert apideck.requests == []
    [audit] = [line for line in logs if line["event"] == "vault_session_refused"]
    assert audit["reason"] not in response.text
    assert audit["subject"] is None


@pytest.mark.parametrize("name", CLAIMS)
async def test_a_signed_token_with_invalid_claims_is_rejected(
    service: httpx.AsyncClient, issuer: DevelopmentIssuer, apideck: ApideckEmulator, name: str
) -> None:
    """A valid signature is not enough: issuer, audience, subject and times must be valid, too."""
    claims: dict[str, Any] = {}
    for claim, value in CLAIMS[name].items():
        made = value() if callable(value) else value
        if made == "HTTP{issuer:4}":
            made = "HTTP" + issuer.issuer[4:]
        elif isinstance(made, str):
            made = made.replace("{issuer}", issuer.issuer)
        claims[claim] = made

    response = await service.post("/vault-session", headers=bearer(issuer.token(**claims)))

    assert problem(response) == (401, "unauthenticated")
    assert apideck.requests == []


@pytest.mark.parametrize("claim", ["iss", "aud", "exp", "sub"])
async def test_a_token_without_a_required_claim_is_rejected(
    service: httpx.AsyncClient, issuer: DevelopmentIssuer, apideck: ApideckEmulator, claim: str
) -> None:
    """The service does not replace a missing claim with a default."""
    response = await service.post("/vault-session", headers=bearer(issuer.token(omit=[claim])))

    assert problem(response) == (401, "unauthenticated")
    assert apideck.requests == []


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": lambda: NOW() - 20},
        {"nbf": lambda: NOW() + 20},
        {"iat": lambda: NOW() + 20},
        {"aud": ["billing", "vault-bff"]},
        {"exp": lambda: NOW() + 300.5},
    ],
)
async def test_leeway_and_several_audiences_are_accepted(
    service: httpx.AsyncClient, issuer: DevelopmentIssuer, claims: dict[str, Any]
) -> None:
    """Clocks may differ by thirty seconds, and a token may have several audiences."""
    made = {name: value() if callable(value) else value for name, value in claims.items()}

    response = await service.post("/vault-session", headers=bearer(issuer.token(**made)))

    assert response.status_code == 201


async def test_a_valid_token_with_irrelevant_header_members_is_accepted(
    service: httpx.AsyncClient, issuer: DevelopmentIssuer
) -> None:
    """The service ignores keys in the header and verifies the token with the issuer's keys."""
    token = issuer.token(headers={"jku": "https://evil.example/jwks", "x5t": "x", "own": 1})

    assert (await service.post("/vault-session", headers=bearer(token))).status_code == 201


async def test_a_token_with_many_groups_is_accepted(
    service: httpx.AsyncClient, issuer: DevelopmentIssuer, apideck: ApideckEmulator
) -> None:
    """A token may be as large as the limit for all headers of a request allows."""
    token = issuer.token(groups=GROUPS)
    assert len(token) > 11_000

    assert (await service.post("/vault-session", headers=bearer(token))).status_code == 201
    assert len(apideck.minted) == 1


async def test_a_token_that_is_too_large_is_not_parsed(
    service: httpx.AsyncClient,
    issuer: DevelopmentIssuer,
    apideck: ApideckEmulator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A token of a megabyte is rejected unparsed, and the response names its size and the limit.

    The service's own HTTP server rejects it earlier; other servers may not.
    """
    token = issuer.token(padding="x" * 1_000_000)
    monkeypatch.setattr(credentials, "parse", None)

    response = await service.post("/vault-session", headers=bearer(token))

    assert problem(response) == (431, "headers-too-large")
    assert str(len(token) + len("Bearer ")) in response.json()["detail"]
    assert str(MAX_HEAD_BYTES) in response.json()["detail"]
    assert "www-authenticate" not in response.headers
    assert apideck.requests == []


async def test_a_key_of_one_issuer_is_not_used_for_another(
    issuer: DevelopmentIssuer, apideck: ApideckEmulator, apideck_url: str
) -> None:
    """A token that names one trusted issuer, but is signed by another one, is rejected."""
    other = DevelopmentIssuer()
    other.keys.rotate()
    with other.serve() as url:
        two = {
            "main": {"consumer_prefix": "a-"},
            "other": {"issuer": url, "audience": "vault-bff", "consumer_prefix": "b-"},
        }
        settings = settings_for(issuer.issuer, apideck_url, identity={"issuers": two})
        async with running(settings) as service:
            forged = issuer.token(key=other.keys.signing_key("RS256"))
            response = await service.post("/vault-session", headers=bearer(forged))

    assert problem(response) == (401, "unauthenticated")
    assert apideck.requests == []


async def test_a_token_older_than_the_maximum_age_is_rejected(
    issuer: DevelopmentIssuer, apideck: ApideckEmulator, apideck_url: str
) -> None:
    """Neither a late `exp` nor a missing `iat` bypasses a configured maximum age."""
    rule = {"issuers": {"main": {"max_token_age_seconds": 60}}}
    settings = settings_for(issuer.issuer, apideck_url, identity=rule)
    async with running(settings) as service:
        for token in (issuer.token(iat=NOW() - 100), issuer.token(omit=["iat"])):
            response = await service.post("/vault-session", headers=bearer(token))
            assert problem(response) == (401, "unauthenticated")
        fresh = await service.post("/vault-session", headers=bearer(issuer.token(iat=NOW() - 50)))

    assert fresh.status_code == 201
    assert len(apideck.requests) == 1
