"""Every published class of mistake with JSON Web Tokens, as an attack over HTTP.

RFC 8725 collects what went wrong until 2020; what came after is named where it was published. The
plain forgeries are in test_tokens.py; here the signature is good wherever an attacker could have
one, so that only the check in question stands between the token and a session. Each function's
docstring is the explanation. What counts is what Apideck saw: nothing.
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
    """Add an attack to the list, under its own name."""
    ATTACKS[make.__name__] = make
    return make


def with_header(issuer: DevelopmentIssuer, **members: Any) -> str:
    """Return a token whose signature holds, with other members in its header."""
    header, payload = parts(issuer)
    changed = {**json.loads(header), **members}
    return signed(issuer, json.dumps(changed).encode(), payload)


def with_claims(issuer: DevelopmentIssuer, **claims: Any) -> str:
    """Return a token whose signature holds, with other claims."""
    header, payload = parts(issuer)
    return signed(issuer, header, json.dumps({**json.loads(payload), **claims}).encode())


def keyed_hash(issuer: DevelopmentIssuer, secret: bytes, algorithm: str = "HS256") -> str:
    """Return a token whose code is made with a secret that everybody knows."""
    kid = issuer.keys.signing_key("RS256").kid
    header = json.dumps({"alg": algorithm, "kid": kid, "typ": "at+jwt"}).encode()
    text = f"{encoded(header)}.{encoded(parts(issuer)[1])}"
    return f"{text}.{encoded(hmac.digest(secret, text.encode(), f'sha{algorithm[2:]}'))}"


@attack
def hmac_with_the_key_as_der(issuer: DevelopmentIssuer) -> str:
    """RFC 8725 2.1: the published key, in another encoding than PEM, as an HMAC secret."""
    public = issuer.keys.signing_key("RS256")
    assert isinstance(public, RSAKey)
    return keyed_hash(issuer, public.as_bytes(encoding="DER", private=False))


@attack
def hmac_with_the_key_as_json(issuer: DevelopmentIssuer) -> str:
    """RFC 8725 2.1: the published JWK itself as the secret."""
    public = issuer.keys.signing_key("RS256").as_dict(private=False)
    return keyed_hash(issuer, json.dumps(public).encode())


@attack
def hmac_with_the_modulus(issuer: DevelopmentIssuer) -> str:
    """RFC 8725 2.1: the key's modulus as the secret, with the longest hash."""
    modulus = issuer.keys.signing_key("RS256").as_dict(private=False)["n"]
    return keyed_hash(issuer, decoded(str(modulus)), "HS512")


@attack
def hmac_with_nothing(issuer: DevelopmentIssuer) -> str:
    """CVE-2019-20933 and others: a missing secret is taken for an empty one."""
    return keyed_hash(issuer, b"")


@attack
def algorithm_in_small_letters(issuer: DevelopmentIssuer) -> str:
    """Names of algorithms have one spelling (RFC 7515 4.1.1); folding case meets deny-lists."""
    return with_header(issuer, alg="es256")


@attack
def algorithm_with_a_space(issuer: DevelopmentIssuer) -> str:
    """A name that is trimmed by one reader and not by another."""
    return with_header(issuer, alg="ES256 ")


@attack
def algorithm_that_is_a_list(issuer: DevelopmentIssuer) -> str:
    """A check for `in` and a look-up disagree about what is no string."""
    return with_header(issuer, alg=["ES256"])


@attack
def algorithm_that_is_missing(issuer: DevelopmentIssuer) -> str:
    """No algorithm is not the key's own algorithm (RFC 8725 3.1)."""
    header, payload = parts(issuer)
    left = {name: value for name, value in json.loads(header).items() if name != "alg"}
    return signed(issuer, json.dumps(left).encode(), payload)


@attack
def algorithm_of_the_same_family(issuer: DevelopmentIssuer) -> str:
    """A PKCS #1 signature that says it is PSS: the same key, another algorithm."""
    header, payload = parts(issuer, "RS256")
    said = json.dumps({**json.loads(header), "alg": "PS256"}).encode()
    return signed(issuer, said, payload, algorithm="RS256")


@attack
def weak_hash(issuer: DevelopmentIssuer) -> str:
    """RS1, SHA-1, is registered (RFC 8812) and prohibited."""
    return with_header(issuer, alg="RS1")


@attack
def curve_of_blockchains(issuer: DevelopmentIssuer) -> str:
    """ES256K (RFC 8812): a curve that no issuer here publishes."""
    return with_header(issuer, alg="ES256K")


@attack
def curve_of_another_size(issuer: DevelopmentIssuer) -> str:
    """A P-384 key of the attacker's under a P-256 key's id."""
    kid = issuer.keys.signing_key("ES256").kid
    header = json.dumps({"alg": "ES384", "kid": kid, "typ": "at+jwt"}).encode()
    key = ECKey.generate_key("P-384")
    return signed(issuer, header, parts(issuer)[1], algorithm="ES384", key=key)


@attack
def signature_of_zero_and_one(issuer: DevelopmentIssuer) -> str:
    """CVE-2022-21449 and its kin: r or s outside the range that ECDSA allows."""
    text = with_claims(issuer).rpartition(".")[0]
    return f"{text}.{encoded(bytes(31) + bytes([1]) + bytes(32))}"


@attack
def signature_with_the_order_of_the_curve(issuer: DevelopmentIssuer) -> str:
    """CVE-2022-21449: r and s equal to the group's order are zero to who does not check."""
    order = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551"
    return f"{with_claims(issuer).rpartition('.')[0]}.{encoded(bytes.fromhex(order * 2))}"


@attack
def signature_with_a_tail(issuer: DevelopmentIssuer) -> str:
    """Bytes behind a good signature: one token in two spellings."""
    text, _, signature = with_claims(issuer).rpartition(".")
    return f"{text}.{encoded(decoded(signature) + bytes(1))}"


@attack
def rsa_signature_with_zeros_in_front(issuer: DevelopmentIssuer) -> str:
    """RFC 8017 8.2.2: a signature has exactly as many bytes as the modulus."""
    text, _, signature = issuer.token().rpartition(".")
    return f"{text}.{encoded(bytes(1) + decoded(signature))}"


@attack
def signature_in_a_second_spelling(issuer: DevelopmentIssuer) -> str:
    """RFC 4648 3.5: unused bits of the last character, so that lists of revoked tokens miss it."""
    text, _, signature = issuer.token(algorithm="ES256").rpartition(".")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    last = alphabet[alphabet.index(signature[-1]) ^ 1]
    assert decoded(signature[:-1] + last) == decoded(signature)
    return f"{text}.{signature[:-1]}{last}"


@attack
def edwards_signature_that_is_not_reduced(issuer: DevelopmentIssuer) -> str:
    """RFC 8032 5.1.7: S beyond the group's order verifies where nobody looks (malleability)."""
    text, _, signature = issuer.token(algorithm="EdDSA").rpartition(".")
    raw = decoded(signature)
    order = 2**252 + 27742317777372353535851937790883648493
    beyond = int.from_bytes(raw[32:], "little") + order
    return f"{text}.{encoded(raw[:32] + beyond.to_bytes(32, 'little'))}"


@attack
def padded_segments(issuer: DevelopmentIssuer) -> str:
    """RFC 7515 2: base64url without padding; with it a token has another spelling."""
    return f"{with_claims(issuer)}=="


@attack
def detached_payload(issuer: DevelopmentIssuer) -> str:
    """RFC 7515 appendix F: an empty payload that is to be found elsewhere."""
    header, _, signature = with_claims(issuer).split(".")
    return f"{header}..{signature}"


@attack
def unencoded_payload_with_a_good_signature(issuer: DevelopmentIssuer) -> str:
    """RFC 7797: who ignores `b64` and who honours it read two payloads from one token."""
    return with_header(issuer, b64=False, crit=["b64"])


@attack
def encoded_payload_said_out_loud(issuer: DevelopmentIssuer) -> str:
    """RFC 7797 3: `b64: true` is the default, and still an extension that nobody here knows."""
    return with_header(issuer, b64=True)


@attack
def critical_but_empty(issuer: DevelopmentIssuer) -> str:
    """RFC 7515 4.1.11: an empty `crit` must not be; CVE-2026-32597 is a library that ignored it."""
    return with_header(issuer, crit=[])


@attack
def critical_and_known(issuer: DevelopmentIssuer) -> str:
    """RFC 7515 4.1.11: members of the standard itself must not be listed."""
    return with_header(issuer, crit=["alg"])


@attack
def critical_and_no_list(issuer: DevelopmentIssuer) -> str:
    """A `crit` of another type, which a loop over its letters would pass."""
    return with_header(issuer, crit="")


@attack
def symmetric_key_in_the_header(issuer: DevelopmentIssuer) -> str:
    """CVE-2018-0114 with a secret: a `jwk` of the type that both signs and verifies."""
    secret = OctKey.generate_key(256)
    jwk = {**secret.as_dict(private=True)}
    header = {"alg": "HS256", "jwk": jwk, "typ": "at+jwt"}
    text = f"{encoded(json.dumps(header).encode())}.{encoded(parts(issuer)[1])}"
    return f"{text}.{encoded(hmac.digest(secret.raw_value, text.encode(), 'sha256'))}"


@attack
def key_id_that_is_a_path(issuer: DevelopmentIssuer) -> str:
    """RFC 8725 3.10: a `kid` that somebody opens, `/dev/null` being an empty secret."""
    return with_header(issuer, kid="../../../../dev/null")


@attack
def key_id_that_is_a_query(issuer: DevelopmentIssuer) -> str:
    """RFC 8725 3.10: a `kid` that somebody puts into SQL, and gets a secret of the attacker's."""
    return with_header(issuer, kid="x' UNION SELECT 'AAAA' --")


@attack
def key_id_of_a_command(issuer: DevelopmentIssuer) -> str:
    """RFC 8725 3.10: a `kid` that begins with a pipe, for who opens it as a file would run it."""
    return with_header(issuer, kid="|/bin/true")


@attack
def key_id_with_a_line_break(issuer: DevelopmentIssuer) -> str:
    """A `kid` that forges a line of a log."""
    return with_header(issuer, kid='x\n{"event": "vault_session_minted"}')


@attack
def two_algorithms(issuer: DevelopmentIssuer) -> str:
    """RFC 7515 4: a member twice, once escaped, in a header whose signature holds."""
    header, payload = parts(issuer)
    return signed(issuer, b'{"\\u0061lg":"none",' + header[1:], payload)


@attack
def two_tenants(issuer: DevelopmentIssuer) -> str:
    """RFC 7519 4: a claim twice, in a payload that the issuer itself was made to sign."""
    header, payload = parts(issuer)
    return signed(issuer, header, payload[:-1] + b', "org_id": "globex"}')


@attack
def json_general_serialization(issuer: DevelopmentIssuer) -> str:
    """RFC 7515 7.2.1: several signatures, of which one holds, over a second syntax."""
    header, payload, signature = with_claims(issuer).split(".")
    signatures = [{"protected": header, "signature": signature}]
    return json.dumps({"payload": payload, "signatures": signatures}, separators=(",", ":"))


@attack
def json_flattened_serialization(issuer: DevelopmentIssuer) -> str:
    """RFC 7515 7.2.2: with an unprotected header, which nobody signed."""
    header, payload, signature = with_claims(issuer).split(".")
    whole = {"payload": payload, "protected": header, "signature": signature, "header": {"a": 1}}
    return json.dumps(whole, separators=(",", ":"))


@attack
def encrypted_to_the_signing_key(issuer: DevelopmentIssuer) -> str:
    """CVE-2026-29000 and its kin: an unsigned token, encrypted to the published key, is believed.

    Whoever decrypts and then skips the signature takes encryption for proof.
    """
    published = issuer.keys.signing_key("RS256").as_dict(private=False)
    public = RSAKey.import_key({name: published[name] for name in ("kty", "n", "e")})
    unsigned = encoded(b'{"alg":"none"}')
    inner = f"{unsigned}.{encoded(parts(issuer)[1])}."
    header = {"alg": "RSA-OAEP", "enc": "A128GCM", "cty": "JWT"}
    return jwe.encrypt_compact(header, inner.encode(), public, algorithms=["RSA-OAEP", "A128GCM"])


@attack
def password_with_a_billion_rounds(_: DevelopmentIssuer) -> str:
    """CVE-2022-36083 and its kin: `p2c` has the verifier derive a key for hours."""
    header = {"alg": "PBES2-HS256+A128KW", "enc": "A128GCM", "p2c": 2**31 - 1, "p2s": "AAAA"}
    segments = [json.dumps(header).encode(), b"k" * 24, b"i" * 12, b"c", b"t" * 16]
    return ".".join(map(encoded, segments))


@attack
def compressed_bomb(_: DevelopmentIssuer) -> str:
    """CVE-2024-28102 and its kin: `zip: DEF` has the verifier inflate before it verifies."""
    zeros = b"\0" * 1_000_000
    header = {"alg": "dir", "enc": "A128GCM", "zip": "DEF"}
    return jwe.encrypt_compact(header, zeros, OctKey.generate_key(128))


@attack
def many_dots(_: DevelopmentIssuer) -> str:
    """CVE-2025-30204: a header of dots, on which splitting spends its time and memory."""
    return "." * 8000


@attack
def giant_header(issuer: DevelopmentIssuer) -> str:
    """A header of thousands of members, within the size that is looked at at all."""
    return with_header(issuer, kid="unknown", **{f"x{number}": 0 for number in range(500)})


@attack
def disclosures_behind_the_token(issuer: DevelopmentIssuer) -> str:
    """RFC 9901: an SD-JWT with disclosures is another format, which nobody here checks."""
    disclosure = encoded(b'["salt","org_id","globex"]')
    return f"{with_claims(issuer)}~{disclosure}~"


@attack
def token_inside_a_token(issuer: DevelopmentIssuer) -> str:
    """RFC 8725 2.4: a nested token, whose outer signature is the issuer's own."""
    inner = issuer.token().encode()
    header, _ = parts(issuer)
    return signed(issuer, json.dumps({**json.loads(header), "cty": "JWT"}).encode(), inner)


KINDS = [
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
    "start as an object": {"nbf": {}},
    "start of null": {"nbf": None},
    "issued as a flag": {"iat": False},
    "audience of null": {"aud": None},
    "audience in a list in a list": {"aud": [["vault-bff"]]},
    "audience in capitals": {"aud": "VAULT-BFF"},
    "audience with a space": {"aud": "vault-bff "},
    "audiences in one string": {"aud": "billing vault-bff"},
    "audience with null beside it": {"aud": ["vault-bff", None]},
    "issuer as a list": {"iss": ["{issuer}"]},
    "issuer with a space": {"iss": "{issuer} "},
    "issuer with user info": {"iss": "http://x@127.0.0.1"},
    "subject as a list": {"sub": ["ada"]},
    "subject as an object": {"sub": {"id": "ada"}},
    "subject of null": {"sub": None},
    "subject as a flag": {"sub": True},
}


async def refused(service: httpx.AsyncClient, apideck: ApideckEmulator, token: str) -> None:
    """Send a token, and make sure that it is a quick 401 of which Apideck sees nothing."""
    started = time.monotonic()

    answer = await service.post("/vault-session", headers=bearer(token))

    assert problem(answer) == (401, "unauthenticated")
    assert apideck.requests == []
    assert time.monotonic() - started < 2


@pytest.mark.parametrize("name", ATTACKS)
async def test_no_published_attack_works(
    service: httpx.AsyncClient, issuer: DevelopmentIssuer, apideck: ApideckEmulator, name: str
) -> None:
    """Each published attack ends in a 401, and in no time."""
    await refused(service, apideck, ATTACKS[name](issuer))


@pytest.mark.parametrize("kind", KINDS)
async def test_a_token_of_another_kind_is_no_access_token(
    service: httpx.AsyncClient, issuer: DevelopmentIssuer, apideck: ApideckEmulator, kind: str
) -> None:
    """RFC 8725 3.11: what an issuer signs for another purpose opens nothing here."""
    await refused(service, apideck, with_header(issuer, typ=kind))


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
async def test_an_id_token_with_our_audience_is_no_access_token(
    issuer: DevelopmentIssuer,
    apideck: ApideckEmulator,
    apideck_url: str,
    header: dict[str, Any],
    claims: dict[str, Any],
) -> None:
    """OpenID Connect Core 2: an application that people sign in to must not mint with ID tokens."""
    any_type = {"issuers": {"main": {"token_type": "any"}}}
    settings = settings_for(issuer.issuer, apideck_url, identity=any_type)
    async with running(settings) as service:
        typ = {"typ": "JWT", **header}
        await refused(service, apideck, issuer.token(headers=typ, **claims))

        good = await service.post("/vault-session", headers=bearer(issuer.token(headers=typ)))
    assert good.status_code == (401 if header else 201)


async def test_claims_that_the_operator_excludes_open_nothing(
    issuer: DevelopmentIssuer, apideck: ApideckEmulator, apideck_url: str
) -> None:
    """A token of a third-party client or of a pending session is not accepted."""
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
            await refused(service, apideck, token)
        active = issuer.token(sts="active", omit=["client_id"])
        assert (await service.post("/vault-session", headers=bearer(active))).status_code == 201


@pytest.mark.parametrize("name", CLAIMS)
async def test_a_claim_of_another_type_is_not_coerced(
    service: httpx.AsyncClient, issuer: DevelopmentIssuer, apideck: ApideckEmulator, name: str
) -> None:
    """RFC 8725 3.8 to 3.10: a claim has the type that the standard gives it, or the token falls."""
    text = json.dumps(CLAIMS[name]).replace("{issuer}", issuer.issuer)
    await refused(service, apideck, with_claims(issuer, **json.loads(text)))


@pytest.mark.parametrize("kind", ["at+jwt", "AT+JWT", "application/at+jwt", "Application/AT+jwt"])
@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "ES256", "EdDSA", "Ed25519"])
async def test_a_good_token_of_every_spelling_holds(
    service: httpx.AsyncClient, issuer: DevelopmentIssuer, kind: str, algorithm: str
) -> None:
    """The same machinery makes tokens that are accepted, or all of the above would show nothing."""
    header, payload = parts(issuer, algorithm)
    made = json.dumps({**json.loads(header), "typ": kind}).encode()
    signing = "Ed25519" if algorithm == "EdDSA" else algorithm

    token = signed(issuer, made, payload, algorithm=signing)

    assert (await service.post("/vault-session", headers=bearer(token))).status_code == 201


class Trap:
    """A server of the attacker's: it has keys to offer, and counts who comes for them."""

    def __init__(self) -> None:
        self.visits = 0
        self.app = Starlette(routes=[Route("/{path:path}", self._offer)])

    @contextmanager
    def serve(self) -> Iterator[str]:
        """Serve it on loopback; yields its URL."""
        with serve(self.app) as url:
            yield url

    async def _offer(self, _: Request) -> Response:
        self.visits += 1
        return JSONResponse({"keys": [FOREIGN.as_dict(private=False)]})


@pytest.mark.parametrize("member", ["jku", "x5u", "iss"])
async def test_no_address_in_a_token_is_ever_visited(
    service: httpx.AsyncClient, issuer: DevelopmentIssuer, apideck: ApideckEmulator, member: str
) -> None:
    """RFC 8725 3.10: a verifier that fetches what a token names works for the attacker (SSRF)."""
    trap = Trap()
    with trap.serve() as url:
        headers: dict[str, Any] = {"kid": "mallory"} | ({} if member == "iss" else {member: url})
        claims: dict[str, Any] = {"iss": url} if member == "iss" else {}
        await refused(service, apideck, issuer.token(key=FOREIGN, headers=headers, **claims))

    assert trap.visits == 0


async def test_equal_key_ids_of_two_issuers_are_two_keys(
    issuer: DevelopmentIssuer, apideck: ApideckEmulator, apideck_url: str
) -> None:
    """RFC 8725 3.8: a `kid` names a key of one issuer, whoever else uses the same name."""
    other = DevelopmentIssuer()
    other.keys.rotate("ES256")
    ours, theirs = issuer.keys.signing_key("ES256"), other.keys.signing_key("ES256")
    with other.serve() as url:
        two = {
            "main": {"consumer_prefix": "a-"},
            "other": {"issuer": url, "audience": "vault-bff", "consumer_prefix": "b-"},
        }
        settings = settings_for(issuer.issuer, apideck_url, identity={"issuers": two})
        async with running(settings) as service:
            for kid in (ours.kid, theirs.kid):
                forged = issuer.token(algorithm="ES256", key=theirs, headers={"kid": kid})
                await refused(service, apideck, forged)


def test_weak_keys_of_an_issuer_are_left_out() -> None:
    """RFC 8725 3.5, RFC 7518 3.3: short or ROCA moduli, weak exponents, unknown curves."""
    good = ECKey.generate_key("P-256").as_dict(private=False)
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
        {**good, "x": encoded(b"\0" * 32), "y": encoded(b"\0" * 32)},
        {**good, "crv": "P-384"},
        {"kty": "AKP", "alg": "none", "pub": "AA"},
    ]

    with pytest.warns(SecurityWarning):
        keys, left_out = public_keys({"keys": [*weak, good]})

    assert left_out == len(weak)
    assert len(keys) == 1


def test_equal_key_ids_of_two_types_do_not_mix() -> None:
    """RFC 7517 4.5: members of one set may share a `kid` when their types differ; then both fit."""
    ec, rsa = ECKey.generate_key("P-256"), FOREIGN
    both = [{**key.as_dict(private=False), "kid": "same"} for key in (ec, rsa)]
    keys, _ = public_keys({"keys": both})

    for algorithm, kind in (("ES256", ECKey), ("RS256", RSAKey)):
        found = matching(keys, "same", algorithm)
        assert found is not None
        assert isinstance(found.key, kind)
    assert matching(keys, "same", "EdDSA") is None
