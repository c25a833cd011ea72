from typing import Any

import pytest
from joserfc.errors import SecurityWarning
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from app.identity.public_keys import MAX_KEYS, MIN_RSA_BITS, PublicKey, matching, public_keys
from emulators.issuer import DevelopmentIssuer
from tests.support.signing import encoded, roca_modulus

# Making one takes a while, and the emulator's serves the whole process.
RSA = dict(DevelopmentIssuer().keys.signing_key("RS256").as_dict(private=False))


def fit(**members: Any) -> list[frozenset[str]]:
    """Return for which algorithms a key with these members is fit; nothing where it is not."""
    spare = {**RSA, "kid": "spare"}
    it = {**RSA, "kid": "it", "use": None, **members}
    it = {name: value for name, value in it.items() if value is not None}
    keys, _ = public_keys({"keys": [it, spare]})
    return [key.algorithms for key in keys if key.kid == "it"]


def test_a_key_is_fit_for_the_algorithms_of_its_type_or_for_its_own() -> None:
    """An `alg` of the key's own narrows it down to that one."""
    assert fit() == [frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})]
    assert fit(alg="PS256") == [frozenset({"PS256"})]
    assert fit(use="sig", key_ops=["verify"]) != []


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
def test_a_key_that_is_not_for_our_signatures_is_left_out(members: dict[str, Any]) -> None:
    """Encryption keys, secrets, short keys, other curves and nonsense verify nothing."""
    assert fit(**members) == []


@pytest.mark.parametrize("jwks", [None, [], {}, {"keys": {}}, {"keys": []}, {"keys": [1]}])
def test_what_is_no_key_set_is_refused(jwks: Any) -> None:
    """A document without one usable key is no reason to forget those at hand."""
    with pytest.raises(ValueError, match="JWK Set"):
        public_keys(jwks)


def test_a_symmetric_key_is_never_taken() -> None:
    """A secret in a published set would let everybody sign."""
    secret = OctKey.generate_key(256).as_dict(private=True)
    with pytest.raises(ValueError, match="usable"):
        public_keys({"keys": [secret]})


def test_private_halves_are_dropped() -> None:
    """An issuer that publishes too much does not make us keep it."""
    keys, _ = public_keys({"keys": [ECKey.generate_key("P-256").as_dict(private=True)]})

    assert not keys[0].key.is_private


def test_a_token_without_a_key_id_is_judged_by_the_only_key_that_fits() -> None:
    """One key that fits is used; of two, none: a token must not choose among keys."""
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
def test_a_curve_is_fit_for_its_own_algorithm(
    key: ECKey | OKPKey, algorithms: frozenset[str]
) -> None:
    """One curve, one algorithm, under all of its names; the key itself is the published one."""
    published = key.as_dict(private=False)
    [made], left_out = public_keys({"keys": [{**published, "kid": "it"}]})

    assert (made.kid, made.algorithms, left_out) == ("it", algorithms, 0)
    assert made.key.as_dict(private=False) == published
    assert made.thumbprint == key.thumbprint()


@pytest.mark.parametrize(
    "members",
    [
        {"use": "sig"},
        {"key_ops": ["verify"]},
        {"key_ops": ["sign", "verify"]},
        {"use": "sig", "key_ops": ["verify"]},
    ],
)
def test_a_key_that_says_that_it_verifies_is_taken(members: dict[str, Any]) -> None:
    """What it does not say does not count against it; one member that forbids it does."""
    assert fit(**members) == fit() != []
    assert fit(**{**members, "use": "enc"}) == []
    assert fit(**{**members, "key_ops": ["sign"]}) == []


def test_a_key_may_have_no_id() -> None:
    """Then it is found by its algorithm alone."""
    [key], _ = public_keys({"keys": [{**RSA, "kid": None}]})

    assert key.kid is None


def test_a_key_that_is_too_short_is_left_out() -> None:
    """RFC 7518 section 3.3: an RSA key has 2048 bits or more, and the spare one has just those."""
    with pytest.warns(SecurityWarning):
        short = RSAKey.generate_key(1024).as_dict(private=False)
    with pytest.warns(SecurityWarning):
        assert fit(**short) == []

    assert RSAKey.import_key(RSA).raw_value.key_size == MIN_RSA_BITS


def test_a_key_with_the_roca_weakness_is_left_out() -> None:
    """CVE-2017-15361: such a modulus can be factored, so anyone can sign with the key."""
    assert fit(n=encoded(roca_modulus().to_bytes(256, "big"))) == []


def test_a_key_without_the_roca_weakness_is_kept() -> None:
    """A modulus that differs from a weak one modulo a single small prime is not weak."""
    weak = roca_modulus()
    others = [weak + 2 * step for step in range(1, 100)]

    fits = [fit(n=encoded(number.to_bytes(256, "big"))) for number in others]
    assert fits == [fit()] * len(others)


def test_a_set_is_read_up_to_a_greatest_number_of_keys() -> None:
    """Keys beyond that number are left out, and counted as such, as is every malformed one."""
    keys, left_out = public_keys({"keys": [{"kty": "RSA"}, 5, *[RSA] * (MAX_KEYS - 1)]})

    assert (len(keys), left_out) == (MAX_KEYS - 2, 3)


@pytest.mark.parametrize(
    ("jwks", "fault"),
    [
        ([], "not a JWK Set: it has no list of keys"),
        ({"keys": {"kty": "RSA"}}, "not a JWK Set: it has no list of keys"),
        ({"keys": []}, "the JWK Set has no usable key"),
    ],
)
def test_the_operator_reads_what_is_wrong_with_a_set(jwks: Any, fault: str) -> None:
    """No list of keys and no usable key are two different mistakes."""
    with pytest.raises(ValueError, match="JWK Set") as error:
        public_keys(jwks)

    assert str(error.value) == fault


def key(kid: str | None, *algorithms: str) -> PublicKey:
    """Return a key with this id, fit for these algorithms."""
    return PublicKey(kid, frozenset(algorithms), "thumbprint", OctKey.generate_key(256))


def test_a_key_is_the_one_that_a_token_names() -> None:
    """Id and algorithm must both fit; of two with equal ids the first does."""
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
