"""Which keys of a JWK Set may verify signatures, and with which algorithms."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from joserfc import jwk
from joserfc.errors import JoseError

MIN_RSA_BITS: Final = 2048
MAX_KEYS: Final = 64

_PUBLIC_MEMBERS = ("kty", "crv", "x", "y", "n", "e")
_RSA = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})
_BY_CURVE = {
    "P-256": frozenset({"ES256"}),
    "P-384": frozenset({"ES384"}),
    "P-521": frozenset({"ES512"}),
    "Ed25519": frozenset({"EdDSA", "Ed25519"}),
}
# The weak primes are k * M + (65537^a mod M), where M is a product of small primes. So modulo each
# of these primes, such a modulus is a power of 65537; of other moduli, one in 2^27 is.
_POWERS_OF_65537 = {
    prime: frozenset(pow(65537, exponent, prime) for exponent in range(prime))
    for prime in range(3, 168)
    if all(prime % divisor for divisor in range(2, prime))
}


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that may verify signatures.

    Attributes:
        kid: its id in the set, if it has one (RFC 7517 section 4.5).
        algorithms: the algorithms of its type, or only its own `alg`.
        thumbprint: identifies the key itself (RFC 7638).
        key: the key itself.
    """

    kid: str | None
    algorithms: frozenset[str]
    thumbprint: str
    key: jwk.Key = field(compare=False)


def public_keys(jwks: Any) -> tuple[tuple[PublicKey, ...], int]:
    """Return the usable keys of a JWK Set (RFC 7517 section 5), and how many were left out.

    Each key is read separately, so that a malformed key does not affect the others.

    Raises:
        ValueError: `jwks` is not a JWK Set, or has no usable key.
    """
    members = jwks.get("keys") if isinstance(jwks, dict) else None
    if not isinstance(members, list):
        raise ValueError("not a JWK Set: it has no list of keys")  # noqa: TRY004
    keys = [key for key in map(_public_key, members[:MAX_KEYS]) if key is not None]
    if not keys:
        raise ValueError("the JWK Set has no usable key")
    return tuple(keys), len(members) - len(keys)


def matching(keys: Iterable[PublicKey], kid: str | None, algorithm: str) -> PublicKey | None:
    """Return the key that the header of a token selects, or None.

    Without a `kid` only one key may fit the algorithm. Trying several would let a token choose.
    """
    found = [key for key in keys if algorithm in key.algorithms and (kid is None or key.kid == kid)]
    return found[0] if len(found) == 1 or (found and kid is not None) else None


def _public_key(member: Any) -> PublicKey | None:
    try:
        if member["kty"] == "oct" or not _may_verify(member):
            return None
        # Only the public half, in case the issuer publishes more, and no certificates.
        key = jwk.import_key({name: member[name] for name in _PUBLIC_MEMBERS if name in member})
        algorithms = _algorithms(key) & {member["alg"]} if "alg" in member else _algorithms(key)
    except (JoseError, ValueError, KeyError, TypeError):
        return None
    kid = member.get("kid")
    if not algorithms or not isinstance(kid, str | None):
        return None
    return PublicKey(kid, algorithms, key.thumbprint(), key)


def _may_verify(member: dict[str, Any]) -> bool:
    """Return whether a key's own members allow verification (RFC 7517 sections 4.2 and 4.3)."""
    return member.get("use", "sig") == "sig" and "verify" in member.get("key_ops", ["verify"])


def _algorithms(key: jwk.Key) -> frozenset[str]:
    if isinstance(key, jwk.RSAKey):
        return frozenset() if _is_weak(key) else _RSA
    if isinstance(key, jwk.ECKey | jwk.OKPKey):
        return _BY_CURVE.get(key.curve_name, frozenset())
    return frozenset()


def _is_weak(key: jwk.RSAKey) -> bool:
    """Return whether a modulus is too short (RFC 7518 section 3.3) or can be factored (ROCA).

    Source: Nemec and others, "The Return of Coppersmith's Attack" (CVE-2017-15361), section 4.
    """
    modulus: int = key.public_key.public_numbers().n
    return modulus.bit_length() < MIN_RSA_BITS or all(
        modulus % prime in powers for prime, powers in _POWERS_OF_65537.items()
    )
