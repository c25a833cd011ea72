"""Every published class of mistake with JSON Web Tokens, as an attack over HTTP.

RFC 8725 collects the mistakes until 2020; for later ones the source is given. Simple forgeries are
in test_tokens.py. Here the signature is valid wherever an attacker could obtain one, so that only
the check in question prevents a session. The docstring of each function explains the attack.
Apideck must receive no request.
"""

import hmac
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from joserfc import jwe
from joserfc.errors import SecurityWarning
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app.identity.public_keys import matching, public_keys
from emulators.apideck import ApideckEmulator
from emulators.issuer import DevelopmentIssuer
from emulators.serving import serve
from tests.support.http import bearer, problem
from tests.support.service import running, settings_for
from tests.support.signing import decoded, encoded, parts, roca_modulus, signed

Attack = Callable[[DevelopmentIssuer], str]
ATTACKS: dict[str, Attack] = {}
FOREIGN = RSAKey.generate_key(2048)


def attack(make: Attack) -> Attack:
    """Add an attack to the list, with its own name."""
    ATTACKS[make.__name__] = make
    return make


def with_header(issuer: DevelopmentIssuer, **members: Any) -> str:
    """Return a token with a valid signature and other members in its header."""
    header, payload = parts(issuer)
    changed = {**json.loads(header), **members}
    return signed(issuer, json.dumps(changed).encode(), payload)


def with_claims(issuer: DevelopmentIssuer, **claims: Any) -> str:
    """Return a token with a valid signature and other claims."""
    header, payload = parts(issuer)
    return signed(issuer, header, json.dumps({**json.loads(payload), **claims}).encode())


def keyed_hash(issuer: DevelopmentIssuer, secret: bytes, algorithm: str = "HS256") -> str:
    """Return a token with an HMAC, made with a public value as the secret."""
    kid = issuer.keys.signing_key("RS256").kid
    header = json.dumps({"alg": algorithm, "kid": kid, "typ": "at+jwt"}).encode()
    text = f"{encoded(header)}.{encoded(parts(issuer)[1])}"
    return f"{text}.{encoded(hmac.digest(secret, text.encode(), f'sha{algorithm[2:]}'))}"


@attack
def hmac_with_the_key_as_der(issuer: DevelopmentIssuer) -> str:
    """RFC 8725 2.1: the published key, encoded as DER, is the HMAC secret."""
    public = issuer.keys.signing_key("RS256")
    assert isinstance(public, RSAKey)
    return keyed_hash(issuer, public.as_bytes(encoding="DER", private=False))


@attack
def hmac_with_the_key_as_json(issuer: DevelopmentIssuer) -> str:
    """RFC 8725 2.1: the published JWK itself is the secret."""
    public = issuer.keys.signing_key("RS256").as_dict(private=False)
    return keyed_hash(issuer, json.dumps(public).encode())


@attack
def hmac_with_the_modulus(issuer: DevelopmentIssuer) -> str:
    """RFC 8725 2.1: the modulus of the key is the secret, with the longest hash."""
    modulus = issuer.keys.signing_key("RS256").as_dict(private=False)["n"]
    return keyed_hash(issuer, decoded(str(modulus)), "HS512")


@attack
def hmac_with_an_empty_secret(issuer: DevelopmentIssuer) -> str:
    """CVE-2019-20933 and others: a missing secret is used as an empty one."""
    return keyed_hash(issuer, b"")


@attack
def algorithm_in_lowercase(issuer: DevelopmentIssuer) -> str:
    """Names of algorithms are case-sensitive (RFC 7515 4.1.1); ignoring case defeats deny-lists."""
    return with_header(issuer, alg="es256")


@attack
def algorithm_with_a_space(issuer: DevelopmentIssuer) -> str:
    """One parser trims the name, and another one does not."""
    return with_header(issuer, alg="ES256 ")


@attack
def algorithm_that_is_a_list(issuer: DevelopmentIssuer) -> str:
    """A check with `in` and a look-up treat a list differently."""
    return with_header(issuer, alg=["ES256"])


@attack
def algorithm_that_is_missing(issuer: DevelopmentIssuer) -> str:
    """A missing algorithm does not mean the algorithm of the key (RFC 8725 3.1)."""
    header, payload = parts(issuer)
    left = {name: value for name, value in json.loads(header).items() if name != "alg"}
    return signed(issuer, json.dumps(left).encode(), payload)


@attack
def algorithm_of_the_same_family(issuer: DevelopmentIssuer) -> str:
    """A PKCS #1 signature with the header of PSS: the same key, another algorithm."""
    header, payload = parts(issuer, "RS256")
    changed = json.dumps({**json.loads(header), "alg": "PS256"}).encode()
    return signed(issuer, changed, payload, algorithm="RS256")


@attack
def weak_hash(issuer: DevelopmentIssuer) -> str:
    """RS1 uses SHA-1; it is registered (RFC 8812) but prohibited."""
    return with_header(issuer, alg="RS1")


@attack
def curve_secp256k1(issuer: DevelopmentIssuer) -> str:
    """ES256K (RFC 8812) is a curve that no issuer here publishes."""
    return with_header(issuer, alg="ES256K")


@attack
def curve_of_another_size(issuer: DevelopmentIssuer) -> str:
    """An attacker's P-384 key with the id of a P-256 key."""
    kid = issuer.keys.signing_key("ES256").kid
    header = json.dumps({"alg": "ES384", "kid": kid, "typ": "at+jwt"}).encode()
    key = ECKey.generate_key("P-384")
    return signed(issuer, header, parts(issuer)[1], algorithm="ES384", key=key)


@attack
def signature_of_zero_and_one(issuer: DevelopmentIssuer) -> str:
    """CVE-2022-21449 and similar: r or s is outside the range that ECDSA allows."""
    text = with_claims(issuer).rpartition(".")[0]
    return f"{text}.{encoded(bytes(31) + bytes([1]) + bytes(32))}"


@attack
def signature_with_the_order_of_the_curve(issuer: DevelopmentIssuer) -> str:
    """CVE-2022-21449: without a range check, r and s equal to the group's order are zero."""
    order = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551"
    return f"{with_claims(issuer).rpartition('.')[0]}.{encoded(bytes.fromhex(order * 2))}"


@attack
def signature_with_trailing_bytes(issuer: DevelopmentIssuer) -> str:
    """Bytes after a valid signature give one token two spellings."""
    text, _, signature = with_claims(issuer).rpartition(".")
    return f"{text}.{encoded(decoded(signature) + bytes(1))}"


@attack
def rsa_signature_with_leading_zeros(issuer: DevelopmentIssuer) -> str:
    """RFC 8017 8.2.2: a signature has exactly as many bytes as the modulus."""
    text, _, signature = issuer.token().rpartition(".")
    return f"{text}.{encoded(bytes(1) + decoded(signature))}"


@attack
def signature_in_another_spelling(issuer: DevelopmentIssuer) -> str:
    """RFC 4648 3.5: the unused bits of the last character differ, which evades revocation lists."""
    text, _, signature = issuer.token(algorithm="ES256").rpartition(".")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    last = alphabet[alphabet.index(signature[-1]) ^ 1]
    assert decoded(signature[:-1] + last) == decoded(signature)
    return f"{text}.{signature[:-1]}{last}"


@attack
def edwards_signature_that_is_not_reduced(issuer: DevelopmentIssuer) -> str:
    """RFC 8032 5.1.7: without a range check, S beyond the group's order verifies (malleability)."""
    text, _, signature = issuer.token(algorithm="EdDSA").rpartition(".")
    raw = decoded(signature)
    order = 2**252 + 27742317777372353535851937790883648493
    beyond = int.from_bytes(raw[32:], "little") + order
    return f"{text}.{encoded(raw[:32] + beyond.to_bytes(32, 'little'))}"


@attack
def padded_segments(issuer: DevelopmentIssuer) -> str:
    """RFC 7515 2: base64url has no padding; with padding a token has another spelling."""
    return f"{with_claims(issuer)}=="


@attack
def detached_payload(issuer: DevelopmentIssuer) -> str:
    """RFC 7515 appendix F: the payload is empty, and sent separately."""
    header, _, signature = with_claims(issuer).split(".")
    return f"{header}..{signature}"


@attack
def unencoded_payload_with_a_valid_signature(issuer: DevelopmentIssuer) -> str:
    """RFC 7797: parsers with and without `b64` read different payloads from one token."""
    return with_header(issuer, b64=False, crit=["b64"])


@attack
def explicitly_encoded_payload(issuer: DevelopmentIssuer) -> str:
    """RFC 7797 3: `b64: true` is the default, but still an extension that is not implemented."""
    return with_header(issuer, b64=True)


@attack
def critical_but_empty(issuer: DevelopmentIssuer) -> str:
    """RFC 7515 4.1.11: `crit` must not be empty; a library ignored that (CVE-2026-32597)."""
    return with_header(issuer, crit=[])


@attack
def critical_and_known(issuer: DevelopmentIssuer) -> str:
    """RFC 7515 4.1.11: `crit` must not list members of the standard itself."""
    return with_header(issuer, crit=["alg"])


@attack
def critical_and_not_a_list(issuer: DevelopmentIssuer) -> str:
    """A `crit` of another type, which a loop over its characters accepts."""
    return with_header(issuer, crit="")


@attack
def symmetric_key_in_the_header(issuer: DevelopmentIssuer) -> str:
    """CVE-2018-0114 with a symmetric `jwk`, which both signs and verifies."""
    secret = OctKey.generate_key(256)
    jwk = {**secret.as_dict(private=True)}
    header = {"alg": "HS256", "jwk": jwk, "typ": "at+jwt"}
    text = f"{encoded(json.dumps(header).encode())}.{encoded(parts(issuer)[1])}"
    return f"{text}.{encoded(hmac.digest(secret.raw_value, text.encode(), 'sha256'))}"


@attack
def key_id_that_is_a_path(issuer: DevelopmentIssuer) -> str:
    """RFC 8725 3.10: a verifier that opens the `kid` as a file gets an empty secret."""
    return with_header(issuer, kid="../../../../dev/null")


@attack
def key_id_that_is_a_query(issuer: DevelopmentIssuer) -> str:
    """RFC 8725 3.10: a verifier that puts the `kid` into SQL gets the attacker's secret."""
    return with_header(issuer, kid="x' UNION SELECT 'AAAA' --")


@attack
def key_id_that_is_a_command(issuer: DevelopmentIssuer) -> str:
    """RFC 8725 3.10: some languages run a file name that begins with a pipe as a command."""
    return with_header(issuer, kid="|/bin/true")


@attack
def key_id_with_a_line_break(issuer: DevelopmentIssuer) -> str:
    """A `kid` that forges a line of a log."""
    return with_header(issuer, kid='x\n{"event": "vault_session_minted"}')


@attack
def two_algorithms(issuer: DevelopmentIssuer) -> str:
    """RFC 7515 4: a member occurs twice, once escaped, in a header with a valid signature."""
    header, payload = parts(issuer)
    return signed(issuer, b'{"\\u0061lg":"none",' + header[1:], payload)


@attack
def two_tenants(issuer: DevelopmentIssuer) -> str:
    """RFC 7519 4: a claim occurs twice in a payload that the issuer itself signed."""
    header, payload = parts(issuer)
    return signed(issuer, header, payload[:-1] + b', "org_id": "globex"}')


@attack
def json_general_serialization(issuer: DevelopmentIssuer) -> str:
    """RFC 7515 7.2.1: a second syntax, with several signatures of which one is valid."""
    header, payload, signature = with_claims(issuer).split(".")
    signatures = [{"protected": header, "signature": signature}]
    return json.dumps({"payload": payload, "signatures": signatures}, separators=(",", ":"))


@attack
def json_flattened_serialization(issuer: DevelopmentIssuer) -> str:
    """RFC 7515 7.2.2: a syntax with an unprotected header, which is not signed."""
    header, payload, signature = with_claims(issuer).split(".")
    whole = {"payload": payload, "protected": header, "signature": signature, "header": {"a": 1}}
    return json.dumps(whole, separators=(",", ":"))


@attack
def encrypted_to_the_signing_key(issuer: DevelopmentIssuer) -> str:
    """CVE-2026-29000 and similar: an unsigned token is encrypted to the published key.

    A verifier that decrypts it and then skips the signature treats encryption as proof.
    """
    published = issuer.keys.signing_key("RS256").as_dict(private=False)
    public = RSAKey.import_key({name: published[name] for name in ("kty", "n", "e")})
    unsigned = encoded(b'{"alg":"none"}')
    inner = f"{unsigned}.{encoded(parts(issuer)[1])}."
    header = {"alg": "RSA-OAEP", "enc": "A128GCM", "cty": "JWT"}
    return jwe.encrypt_compact(header, inner.encode(), public, algorithms=["RSA-OAEP", "A128GCM"])


@attack
def password_with_billions_of_iterations(_: DevelopmentIssuer) -> str:
    """CVE-2022-36083 and similar: `p2c` makes the verifier derive a key for hours."""
    header = {"alg": "PBES2-HS256+A128KW", "enc": "A128GCM", "p2c": 2**31 - 1, "p2s": "AAAA"}
    segments = [json.dumps(header).encode(), b"k" * 24, b"i" * 12, b"c", b"t" * 16]
    return ".".join(map(encoded, segments))


@attack
def compressed_bomb(_: DevelopmentIssuer) -> str:
    """CVE-2024-28102 and similar: `zip: DEF` makes the verifier inflate before it verifies."""
    zeros = b"\0" * 1_000_000
    header = {"alg": "dir", "enc": "A128GCM", "zip": "DEF"}
    return jwe.encrypt_compact(header, zeros, OctKey.generate_key(128))


@attack
def many_dots(_: DevelopmentIssuer) -> str:
    """CVE-2025-30204: splitting a header of dots takes much time and memory."""
    return "." * 8000


@attack
def large_header(issuer: DevelopmentIssuer) -> str:
    """A header of hundreds of members, within the maximum length of a credential."""
    return with_header(issuer, kid="unknown", **{f"x{number}": 0 for number in range(500)})


@attack
def token_with_disclosures(issuer: DevelopmentIssuer) -> str:
    """RFC 9901: an SD-JWT with disclosures is another format, which is not implemented."""
    disclosure = encoded(b'["salt","org_id","globex"]')
    return f"{with_claims(issuer)}~{disclosure}~"


@attack
def token_inside_a_token(issuer: DevelopmentIssuer) -> str:
    """RFC 8725 2.4: a nested token whose outer signature is the issuer's own."""
    inner = issuer.token().encode()
    header, _ = parts(issuer)
    return signed(issuer, json.dumps({**json.loads(header), "cty": "JWT"}).encode(), inner)


TYPES = [
    "JWT",
    "jwt",
    "id_token+jwt",
    "logout+jwt",
    "dpop+jwt",
    "secevent+jwt",
    "oauth-authz-req+jwt",
    "token-introspection+jwt",
    "client-authentication+jwt",
    "oauth-id-jag+jwt",
    "entity-statement+jwt",
    "dc+sd-jwt",
    "kb+jwt",
    "at+jwt ",
    "at+jwt; charset=utf-8",
    "application/application/at+jwt",
    "text/at+jwt",
    "",
]

CLAIMS: dict[str, dict[str, Any]] = {
    "expiry as digits": {"exp": "99999999999"},
    "expiry as an object": {"exp": {"$gt": 0}},
    "expiry as a list": {"exp": [99999999999]},
    "negative expiry": {"exp": -1},
    "expiry of zero": {"exp": 0},
    "not before as an object": {"nbf": {}},
    "not before of null": {"nbf": None},
    "issued as a boolean": {"iat": False},
    "audience of null": {"aud": None},
    "audience in a list in a list": {"aud": [["vault-bff"]]},
    "audience in uppercase": {"aud": "VAULT-BFF"},
    "audience with a space": {"aud": "vault-bff "},
    "audiences in one string": {"aud": "billing vault-bff"},
    "audience with null beside it": {"aud": ["vault-bff", None]},
    "issuer as a list": {"iss": ["{issuer}"]},
    "issuer with a space": {"iss": "{issuer} "},
    "issuer with user info": {"iss": "http://x@127.0.0.1"},
    "subject as a list": {"sub": ["ada"]},
    "subject as an object": {"sub": {"id": "ada"}},
    "subject of null": {"sub": None},
    "subject as a boolean": {"sub": True},
}


async def rejected(service: httpx.AsyncClient, apideck: ApideckEmulator, token: str) -> None:
    """Assert that a token is rejected within two seconds, and that Apideck gets no request."""
    started = time.monotonic()

    response = await service.post("/vault-session", headers=bearer(token))

    assert problem(response) == (401, "unauthenticated")
    assert apideck.requests == []
    assert time.monotonic() - started < 2


@pytest.mark.parametrize("name", ATTACKS)
async def test_no_published_attack_works(
    service: httpx.AsyncClient, issuer: DevelopmentIssuer, apideck: ApideckEmulator, name: str
) -> None:
    """Each published attack is rejected quickly."""
    await rejected(service, apideck, ATTACKS[name](issuer))


@pytest.mark.parametrize("kind", TYPES)
async def test_a_token_of_another_type_is_not_an_access_token(
    service: httpx.AsyncClient, issuer: DevelopmentIssuer, apideck: ApideckEmulator, kind: str
) -> None:
    """RFC 8725 3.11: a token that an issuer signs for another purpose grants nothing."""
    await rejected(service, apideck, with_header(issuer, typ=kind))


@pytest.mark.parametrize(
    ("header", "claims"),
    [
        ({}, {"nonce": "n-0S6_WzA2Mj"}),
        ({}, {"at_hash": "77QmUPtjPfzWtF2AnpK9RQ"}),
        ({}, {"c_hash": "LDktKdoQak3Pk0cnXxCltA"}),
        ({}, {"nonce": "n-0S6_WzA2Mj", "typ": "ID"}),
        ({}, {"token_use": "id"}),
        ({}, {"events": {"http://schemas.openid.net/event/backchannel-logout": {}}}),
        ({"typ": "logout+jwt"}, {}),
    ],
)
async def test_an_id_token_with_this_audience_is_not_an_access_token(
    issuer: DevelopmentIssuer,
    apideck: ApideckEmulator,
    apideck_url: str,
    header: dict[str, Any],
    claims: dict[str, Any],
) -> None:
    """OpenID Connect Core 2: an ID token proves a sign-in and grants no access."""
    any_type = {"issuers": {"main": {"token_type": "any"}}}
    settings = settings_for(issuer.issuer, apideck_url, identity=any_type)
    async with running(settings) as service:
        typ = {"typ": "JWT", **header}
        await rejected(service, apideck, issuer.token(headers=typ, **claims))

        valid = await service.post("/vault-session", headers=bearer(issuer.token(headers=typ)))
    assert valid.status_code == (401 if header else 201)


async def test_a_token_with_forbidden_or_without_required_claims_is_rejected(
    issuer: DevelopmentIssuer, apideck: ApideckEmulator, apideck_url: str
) -> None:
    """Such tokens are for third-party clients, or for sessions that are not active yet."""
    rules = {"required_claims": {"sts": "active"}, "forbidden_claims": ["client_id"]}
    settings = settings_for(issuer.issuer, apideck_url, identity={"issuers": {"main": rules}})
    async with running(settings) as service:
        wrong: list[dict[str, Any]] = [
            {"sts": "pending"},
            {},
            {"sts": "active", "client_id": "partner"},
        ]
        for claims in wrong:
            token = issuer.token(**claims, omit=[] if "client_id" in claims else ["client_id"])
            await rejected(service, apideck, token)
        active = issuer.token(sts="active", omit=["client_id"])
        assert (await service.post("/vault-session", headers=bearer(active))).status_code == 201


@pytest.mark.parametrize("name", CLAIMS)
async def test_a_claim_of_another_type_is_not_coerced(
    service: httpx.AsyncClient, issuer: DevelopmentIssuer, apideck: ApideckEmulator, name: str
) -> None:
    """RFC 8725 3.8 to 3.10: a claim of another type than in the standard makes a token invalid."""
    text = json.dumps(CLAIMS[name]).replace("{issuer}", issuer.issuer)
    await rejected(service, apideck, with_claims(issuer, **json.loads(text)))


@pytest.mark.parametrize("kind", ["at+jwt", "AT+JWT", "application/at+jwt", "Application/AT+jwt"])
@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "ES256", "EdDSA", "Ed25519"])
async def test_a_valid_token_is_accepted_in_every_spelling(
    service: httpx.AsyncClient, issuer: DevelopmentIssuer, kind: str, algorithm: str
) -> None:
    """The helpers above can make valid tokens; otherwise the attacks would prove nothing."""
    header, payload = parts(issuer, algorithm)
    made = json.dumps({**json.loads(header), "typ": kind}).encode()
    signing = "Ed25519" if algorithm == "EdDSA" else algorithm

    token = signed(issuer, made, payload, algorithm=signing)

    assert (await service.post("/vault-session", headers=bearer(token))).status_code == 201


class AttackersServer:
    """An attacker's server that offers keys and counts requests."""

    def __init__(self) -> None:
        self.requests = 0
        self.app = Starlette(routes=[Route("/{path:path}", self._keys)])

    @contextmanager
    def serve(self) -> Iterator[str]:
        """Serve on loopback; yields the URL."""
        with serve(self.app) as url:
            yield url

    async def _keys(self, _: Request) -> Response:
        self.requests += 1
        return JSONResponse({"keys": [FOREIGN.as_dict(private=False)]})


@pytest.mark.parametrize("member", ["jku", "x5u", "iss"])
async def test_no_url_in_a_token_is_requested(
    service: httpx.AsyncClient, issuer: DevelopmentIssuer, apideck: ApideckEmulator, member: str
) -> None:
    """RFC 8725 3.10: a verifier that fetches URLs in tokens helps the attacker (SSRF)."""
    server = AttackersServer()
    with server.serve() as url:
        headers: dict[str, Any] = {"kid": "mallory"} | ({} if member == "iss" else {member: url})
        claims: dict[str, Any] = {"iss": url} if member == "iss" else {}
        await rejected(service, apideck, issuer.token(key=FOREIGN, headers=headers, **claims))

    assert server.requests == 0


async def test_equal_key_ids_of_two_issuers_are_two_keys(
    issuer: DevelopmentIssuer, apideck: ApideckEmulator, apideck_url: str
) -> None:
    """RFC 8725 3.8: a `kid` names a key of one issuer, and another issuer may use the same."""
    other = DevelopmentIssuer()
    other.keys.rotate("ES256")
    own_key, other_key = issuer.keys.signing_key("ES256"), other.keys.signing_key("ES256")
    with other.serve() as url:
        two = {
            "main": {"consumer_prefix": "a-"},
            "other": {"issuer": url, "audience": "vault-bff", "consumer_prefix": "b-"},
        }
        settings = settings_for(issuer.issuer, apideck_url, identity={"issuers": two})
        async with running(settings) as service:
            for kid in (own_key.kid, other_key.kid):
                forged = issuer.token(algorithm="ES256", key=other_key, headers={"kid": kid})
                await rejected(service, apideck, forged)


def test_weak_keys_of_an_issuer_are_ignored() -> None:
    """RFC 8725 3.5, RFC 7518 3.3: short or ROCA moduli, weak exponents and unknown curves."""
    valid = ECKey.generate_key("P-256").as_dict(private=False)
    strong = FOREIGN.as_dict(private=False)
    with pytest.warns(SecurityWarning):
        short = RSAKey.generate_key(1024)
    weak: list[dict[str, Any]] = [
        {**short.as_dict(private=False)},
        {**strong, "e": "AQ"},
        {**strong, "e": "Ag"},
        {**strong, "e": "AA"},
        {**strong, "n": "AA"},
        {**strong, "n": encoded(roca_modulus().to_bytes(256, "big"))},
        {**ECKey.generate_key("secp256k1").as_dict(private=False)},
        {**OKPKey.generate_key("X25519").as_dict(private=False)},
        {**valid, "x": encoded(b"\0" * 32), "y": encoded(b"\0" * 32)},
        {**valid, "crv": "P-384"},
        {"kty": "AKP", "alg": "none", "pub": "AA"},
    ]

    with pytest.warns(SecurityWarning):
        keys, left_out = public_keys({"keys": [*weak, valid]})

    assert len(left_out) == len(weak)
    assert len(keys) == 1


def test_equal_key_ids_of_two_types_do_not_mix() -> None:
    """RFC 7517 4.5: keys of different types in one set may share a `kid`."""
    ec, rsa = ECKey.generate_key("P-256"), FOREIGN
    both = [{**key.as_dict(private=False), "kid": "same"} for key in (ec, rsa)]
    keys, _ = public_keys({"keys": both})

    for algorithm, kind in (("ES256", ECKey), ("RS256", RSAKey)):
        found = matching(keys, "same", algorithm)
        assert found is not None
        assert isinstance(found.key, kind)
    assert matching(keys, "same", "EdDSA") is None
