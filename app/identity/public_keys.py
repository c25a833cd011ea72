"""Which keys of a JWK Set may verify signatures, and with which algorithms."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from joserfc import jwk
from joserfc.errors import JoseError

MIN_RSA_BITS: Final = 2048
MAX_KEYS: Final = 64

_MAX_MEMBERS = 1024
_MAX_SHOWN = 8
_MAX_SHOWN_KID = 64

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
        issuer: its member `issuer`, with which Microsoft names the tenant of a key.
        thumbprint: identifies the key itself (RFC 7638).
        key: the key itself.
    """

    kid: str | None
    algorithms: frozenset[str]
    thumbprint: str
    key: jwk.Key = field(compare=False)
    issuer: str | None = None


@dataclass(frozen=True, slots=True)
class LeftOutKey:
    """A key of a JWK Set that verifies no signatures.

    Attributes:
        kid: its id in the set, if it has a usable one.
        reason: why it was left out.
    """

    kid: str | None
    reason: str

    def __str__(self) -> str:
        """Return the key id and the reason."""
        return f"{'a key without kid' if self.kid is None else ascii(self.kid)}: {self.reason}"


def public_keys(jwks: Any) -> tuple[tuple[PublicKey, ...], tuple[LeftOutKey, ...]]:
    """Return the usable keys of a JWK Set (RFC 7517 section 5), and those that were left out.

    Each key is read separately, so that a malformed key does not affect the others.

    Raises:
        ValueError: `jwks` is not a JWK Set, or has no usable key.
    """
    members = jwks.get("keys") if isinstance(jwks, dict) else None
    if not isinstance(members, list):
        raise ValueError("not a JWK Set: it has no list of keys")  # noqa: TRY004
    read = [
        _public_key(member)
        if number < MAX_KEYS
        else LeftOutKey(_kid(member), f"only the first {MAX_KEYS} keys are used")
        for number, member in enumerate(members[:_MAX_MEMBERS])
    ]
    keys = tuple(one for one in read if isinstance(one, PublicKey))
    left_out = tuple(one for one in read if isinstance(one, LeftOutKey))
    if not keys:
        reasons = "; ".join(map(str, left_out[:_MAX_SHOWN]))
        raise ValueError(f"the JWK Set has no usable key{reasons and f': {reasons}'}")
    return keys, left_out


def matching(keys: Iterable[PublicKey], kid: str | None, algorithm: str) -> PublicKey | None:
    """Return the key that the header of a token selects, or None.

    Without a `kid` only one key may fit the algorithm. Trying several would let a token choose.
    """
    found = [key for key in keys if algorithm in key.algorithms and (kid is None or key.kid == kid)]
    return found[0] if len(found) == 1 or (found and kid is not None) else None


def _kid(member: Any) -> str | None:
    kid = member.get("kid") if isinstance(member, dict) else None
    return kid[:_MAX_SHOWN_KID] if isinstance(kid, str) else None


def _public_key(member: Any) -> PublicKey | LeftOutKey:
    try:
        reason = _unfit(member)
        if reason is not None:
            return LeftOutKey(_kid(member), reason)
        # Only the public half, in case the issuer publishes more, and no certificates.
        key = jwk.import_key({name: member[name] for name in _PUBLIC_MEMBERS if name in member})
        algorithms = _algorithms(key)
        if not algorithms:
            return LeftOutKey(_kid(member), _weakness(key))
        if "alg" in member and not (algorithms := algorithms & {member["alg"]}):
            return LeftOutKey(_kid(member), "its alg is unknown, or does not fit its type")
    except (JoseError, ValueError, KeyError, TypeError):
        return LeftOutKey(_kid(member), "malformed")
    issuer = member.get("issuer")
    if not isinstance(issuer, str | None):
        return LeftOutKey(_kid(member), "its issuer is not a string")
    return PublicKey(member.get("kid"), algorithms, key.thumbprint(), key, issuer)


def _unfit(member: dict[str, Any]) -> str | None:
    """Return why a key's own members rule it out (RFC 7517 sections 4.1 to 4.5)."""
    if member["kty"] == "oct":
        return "a shared secret (kty oct)"
    if member.get("use", "sig") != "sig":
        return "its use is not sig"
    if "verify" not in member.get("key_ops", ["verify"]):
        return "its key_ops lack verify"
    return None if isinstance(member.get("kid"), str | None) else "its kid is not a string"


def _weakness(key: jwk.Key) -> str:
    if isinstance(key, jwk.RSAKey):
        return f"an RSA key of fewer than {MIN_RSA_BITS} bits, or one with the ROCA weakness"
    return "its curve is not supported"


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
