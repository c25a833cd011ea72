"""Signatures over whatever bytes, as an issuer's own tools would never make them."""

import json
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
    """Return the header and the payload of a good token."""
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
    """Return a token of these bytes with a signature that verifies.

    Args:
        issuer: whose key signs.
        header: the bytes of its header, which need not be JSON.
        payload: likewise.
        algorithm: with which to sign, whatever the header says.
        key: a key to sign with instead.
    """
    input_ = f"{encoded(header)}.{encoded(payload)}"
    method = jws.JWSRegistry(algorithms=[algorithm]).get_alg(algorithm)
    signature = method.sign(input_.encode(), key or issuer.keys.signing_key(algorithm))
    return f"{input_}.{encoded(signature)}"


def key_set(issuer: DevelopmentIssuer) -> bytes:
    """Return the issuer's published keys as JSON."""
    return json.dumps({"keys": issuer.keys.published()}).encode()
