from typing import Any

import pytest
from joserfc.errors import SecurityWarning
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from app.identity.public_keys import MAX_KEYS, MIN_RSA_BITS, PublicKey, matching, public_keys
from emulators.issuer import DevelopmentIssuer
from tests.support.signing import encoded, roca_modulus

# Generating a key is slow, and the emulator shares one in the process.
RSA = dict(DevelopmentIssuer().keys.signing_key("RS256").as_dict(private=False))


def algorithms_of(**members: Any) -> list[frozenset[str]]:
    """Return the algorithms of a key with these members; an empty list if it is left out."""
    spare = {**RSA, "kid": "spare"}
    tested = {**RSA, "kid": "it", "use": None, **members}
    tested = {name: value for name, value in tested.items() if value is not None}
    keys, _ = public_keys({"keys": [tested, spare]})
    return [key.algorithms for key in keys if key.kid == "it"]


def test_a_key_has_the_algorithms_of_its_type_or_its_own_alg() -> None:
    """A key with `alg` may be used with that algorithm only."""
    assert algorithms_of() == [frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})]
    assert algorithms_of(alg="PS256") == [frozenset({"PS256"})]
    assert algorithms_of(use="sig", key_ops=["verify"]) != []


@pytest.mark.parametrize(
    "members",
    [
        {"use": "enc"},
        {"key_ops": ["encrypt"]},
        {"alg": "RSA-OAEP"},
        {"alg": 5},
        {"kid": None, "kty": "oct", "k": "c2VjcmV0"},
        {"kty": "oct", "k": "c2VjcmV0"},
        {"kty": ["RSA"]},
        {"kty": None},
        {"key_ops": 5},
        {"use": ["sig"]},
        {"alg": ["RS256"]},
        {"kid": 5},
        {"n": "AQAB"},
        {"n": 5},
        {"kty": "EC", "crv": "secp256k1", "x": "AA", "y": "AA"},
        {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
        {"kty": "OKP", "crv": "X25519", "x": "AA"},
    ],
)
def test_a_key_that_cannot_verify_signatures_is_left_out(members: dict[str, Any]) -> None:
    """This includes encryption keys, secrets, short keys, other curves and malformed keys."""
    assert algorithms_of(**members) == []


@pytest.mark.parametrize("jwks", [None, [], {}, {"keys": {}}, {"keys": []}, {"keys": [1]}])
def test_a_document_without_a_usable_key_is_an_error(jwks: Any) -> None:
    """Such a document does not replace the cached keys."""
    with pytest.raises(ValueError, match="JWK Set"):
        public_keys(jwks)


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"kty": "oct"}, "a shared secret (kty oct)"),
        ({"use": "enc"}, "its use is not sig"),
        ({"key_ops": ["encrypt"]}, "its key_ops lack verify"),
        ({"alg": "RSA-OAEP"}, "its alg is unknown, or does not fit its type"),
        ({"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}, "malformed"),
    ],
)
def test_the_reason_why_a_key_was_left_out_is_reported(
    members: dict[str, Any], reason: str
) -> None:
    """The reason contains the id of the key, even if no other key is usable."""
    _, left_out = public_keys({"keys": [{**RSA, "kid": "it", **members}, RSA]})
    assert [str(one) for one in left_out] == [f"'it': {reason}"]

    with pytest.raises(ValueError, match="no usable key") as error:
        public_keys({"keys": [{**RSA, "kid": "it", **members}]})
    assert str(error.value) == f"the JWK Set has no usable key: 'it': {reason}"


def test_an_unsupported_curve_is_named_as_the_reason() -> None:
    """An encryption key with another curve is not a malformed key."""
    other = OKPKey.generate_key("X25519").as_dict(private=False)

    _, left_out = public_keys({"keys": [{**other, "kid": "it"}, RSA]})

    assert [str(one) for one in left_out] == ["'it': its curve is not supported"]


def test_a_symmetric_key_is_left_out() -> None:
    """If a published set contains a secret, anyone can sign with it."""
    secret = OctKey.generate_key(256).as_dict(private=True)
    with pytest.raises(ValueError, match="usable"):
        public_keys({"keys": [secret]})


def test_the_private_part_of_a_key_is_not_kept() -> None:
    """An issuer may publish it by mistake."""
    keys, _ = public_keys({"keys": [ECKey.generate_key("P-256").as_dict(private=True)]})

    assert not keys[0].key.is_private


def test_a_token_without_a_key_id_is_verified_by_the_only_key_that_fits() -> None:
    """If two keys fit, none is used, because a token must not choose between keys."""
    one, _ = public_keys({"keys": [RSA, ECKey.generate_key("P-256").as_dict(private=False)]})
    two, _ = public_keys({"keys": [RSA, {**RSA, "kid": "other"}]})

    assert matching(one, None, "RS256") is one[0]
    assert matching(two, None, "RS256") is None


@pytest.mark.parametrize(
    ("key", "algorithms"),
    [
        (ECKey.generate_key("P-256"), {"ES256"}),
        (ECKey.generate_key("P-384"), {"ES384"}),
        (ECKey.generate_key("P-521"), {"ES512"}),
        (OKPKey.generate_key("Ed25519"), {"EdDSA", "Ed25519"}),
    ],
)
def test_a_curve_has_its_own_algorithm(key: ECKey | OKPKey, algorithms: frozenset[str]) -> None:
    """Each curve has one algorithm, under all of its names, and the key is not changed."""
    published = key.as_dict(private=False)
    [parsed], left_out = public_keys({"keys": [{**published, "kid": "it"}]})

    assert (parsed.kid, parsed.algorithms, left_out) == ("it", algorithms, ())
    assert parsed.key.as_dict(private=False) == published
    assert parsed.thumbprint == key.thumbprint()


@pytest.mark.parametrize(
    "members",
    [
        {"use": "sig"},
        {"key_ops": ["verify"]},
        {"key_ops": ["sign", "verify"]},
        {"use": "sig", "key_ops": ["verify"]},
    ],
)
def test_a_key_whose_members_allow_verification_is_kept(members: dict[str, Any]) -> None:
    """A missing member allows it; one member that forbids it is enough to leave the key out."""
    assert algorithms_of(**members) == algorithms_of() != []
    assert algorithms_of(**{**members, "use": "enc"}) == []
    assert algorithms_of(**{**members, "key_ops": ["sign"]}) == []


def test_a_key_may_have_no_id() -> None:
    """Such a key is found by its algorithm."""
    [key], _ = public_keys({"keys": [{**RSA, "kid": None}]})

    assert key.kid is None


def test_a_key_that_is_too_short_is_left_out() -> None:
    """RFC 7518 section 3.3: an RSA key has at least 2048 bits; the reason says so."""
    with pytest.warns(SecurityWarning):
        short = RSAKey.generate_key(1024).as_dict(private=False)
    with pytest.warns(SecurityWarning):
        _, left_out = public_keys({"keys": [{**short, "kid": "it"}, RSA]})
    assert [str(one) for one in left_out] == [
        "'it': an RSA key of fewer than 2048 bits, or one with the ROCA weakness"
    ]

    assert RSAKey.import_key(RSA).raw_value.key_size == MIN_RSA_BITS


def test_a_key_with_the_roca_weakness_is_left_out() -> None:
    """CVE-2017-15361: such a modulus can be factored, so anyone can sign with the key."""
    assert algorithms_of(n=encoded(roca_modulus().to_bytes(256, "big"))) == []


def test_a_key_without_the_roca_weakness_is_kept() -> None:
    """A modulus that differs from a weak one modulo a single small prime is not weak."""
    weak = roca_modulus()
    others = [weak + 2 * step for step in range(1, 100)]

    results = [algorithms_of(n=encoded(number.to_bytes(256, "big"))) for number in others]
    assert results == [algorithms_of()] * len(others)


def test_a_set_is_read_up_to_a_maximum_number_of_keys() -> None:
    """Keys beyond that number and malformed keys are counted as left out."""
    keys, left_out = public_keys({"keys": [{"kty": "RSA"}, 5, *[RSA] * (MAX_KEYS - 1)]})

    assert len(keys) == MAX_KEYS - 2
    assert [str(one) for one in left_out] == [
        "a key without kid: malformed",
        "a key without kid: malformed",
        f"'{RSA['kid']}': only the first {MAX_KEYS} keys are used",
    ]


@pytest.mark.parametrize(
    ("jwks", "fault"),
    [
        ([], "not a JWK Set: it has no list of keys"),
        ({"keys": {"kty": "RSA"}}, "not a JWK Set: it has no list of keys"),
        ({"keys": []}, "the JWK Set has no usable key"),
    ],
)
def test_the_error_describes_the_problem_of_a_set(jwks: Any, fault: str) -> None:
    """A missing list of keys and a list without usable keys have different messages."""
    with pytest.raises(ValueError, match="JWK Set") as error:
        public_keys(jwks)

    assert str(error.value) == fault


def key(kid: str | None, *algorithms: str) -> PublicKey:
    """Return a key with this id and these algorithms."""
    return PublicKey(kid, frozenset(algorithms), "thumbprint", OctKey.generate_key(256))


def test_the_header_of_a_token_selects_a_key() -> None:
    """Id and algorithm must both match; of two keys with equal ids, the first is used."""
    one, two, again = key("1", "RS256"), key("2", "RS256", "PS256"), key("2", "RS256")
    unnamed = key(None, "ES256")
    keys = [one, two, again, unnamed]

    assert matching(keys, "1", "RS256") is one
    assert matching(keys, "2", "RS256") is two
    assert matching(keys, "1", "PS256") is None
    assert matching(keys, "3", "RS256") is None
    assert matching(keys, "3", "ES256") is None
    assert matching(keys, None, "PS256") is two
    assert matching(keys, None, "ES256") is unnamed
    assert matching(keys, None, "RS256") is None
    assert matching([], None, "RS256") is None
    assert matching([], "1", "RS256") is None
