"""Tokens and keys that a normal issuer would not produce."""

import json
import math
import random
from base64 import urlsafe_b64decode, urlsafe_b64encode

from joserfc import jws
from joserfc.jwk import Key

from emulators.issuer import DevelopmentIssuer


def encoded(raw: bytes) -> str:
    """Return bytes as a segment of a token."""
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def decoded(segment: str) -> bytes:
    """Return the bytes of a token's segment."""
    return urlsafe_b64decode(segment + "=" * (-len(segment) % 4))


def parts(issuer: DevelopmentIssuer, algorithm: str = "ES256") -> tuple[bytes, bytes]:
    """Return the header and the payload of a valid token."""
    header, claims, _ = issuer.token(algorithm=algorithm).split(".")
    return decoded(header), decoded(claims)


def signed(
    issuer: DevelopmentIssuer,
    header: bytes,
    payload: bytes,
    *,
    algorithm: str = "ES256",
    key: Key | None = None,
) -> str:
    """Return a token of these bytes with a valid signature.

    Args:
        issuer: the issuer whose key signs.
        header: the bytes of the header, which need not be JSON.
        payload: the bytes of the payload, which need not be JSON.
        algorithm: the algorithm of the signature; the header may name another one.
        key: the key to sign with; by default the issuer's key.
    """
    input_ = f"{encoded(header)}.{encoded(payload)}"
    method = jws.JWSRegistry(algorithms=[algorithm]).get_alg(algorithm)
    signature = method.sign(input_.encode(), key or issuer.keys.signing_key(algorithm))
    return f"{input_}.{encoded(signature)}"


def key_set(issuer: DevelopmentIssuer) -> bytes:
    """Return the issuer's published keys as JSON."""
    return json.dumps({"keys": issuer.keys.published()}).encode()


def roca_modulus() -> int:
    """Return an RSA modulus of 2048 bits with the ROCA weakness (CVE-2017-15361).

    Both primes are k * M + (65537^a mod M), where M is the product of the first 126 primes.
    """
    primes = [p for p in range(2, 702) if all(p % divisor for divisor in range(2, p))]
    product = math.prod(primes)
    generator = random.Random(2017)  # noqa: S311 - the same weak key in every run

    def prime() -> int:
        while True:
            k = generator.getrandbits(1024 - product.bit_length())
            exponent = generator.getrandbits(62)
            candidate = k * product + pow(65537, exponent, product)
            if candidate.bit_length() == 1024 and pow(2, candidate - 1, candidate) == 1:
                return candidate

    while (modulus := prime() * prime()).bit_length() != 2048:
        pass
    return modulus
