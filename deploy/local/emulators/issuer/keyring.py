"""The issuer's signing keys, and how they are rotated."""

import itertools
from functools import cache
from typing import Any

from joserfc import jwk

RSA = "RS256"
EC = "ES256"
ED = "Ed25519"
KIND_OF = {"RS256": RSA, "PS256": RSA, "ES256": EC, "EdDSA": ED, "Ed25519": ED}

_numbers = itertools.count(1)


@cache
def _first(kind: str) -> jwk.Key:
    # Making an RSA key takes a good part of a second: the first ones serve the whole process.
    return _new(kind)


def _new(kind: str) -> jwk.Key:
    extra = {"kid": f"{kind.lower()}-{next(_numbers)}", "use": "sig"}
    if kind == RSA:
        return jwk.RSAKey.generate_key(2048, extra)  # type: ignore[arg-type]
    if kind == EC:
        return jwk.ECKey.generate_key("P-256", extra)  # type: ignore[arg-type]
    return jwk.OKPKey.generate_key("Ed25519", extra)  # type: ignore[arg-type]


class Keyring:
    """The keys that sign now, and those that are published."""

    def __init__(self) -> None:
        self._signing = {kind: _first(kind) for kind in (RSA, EC, ED)}
        self._published = list(self._signing.values())

    def signing_key(self, algorithm: str) -> jwk.Key:
        """Return the key that signs with an algorithm now."""
        return self._signing[KIND_OF[algorithm]]

    def rotate(self, algorithm: str = RSA) -> None:
        """Sign with a new key from now on; the old one stays published."""
        kind = KIND_OF[algorithm]
        self._signing[kind] = _new(kind)
        self._published.append(self._signing[kind])

    def retire(self) -> None:
        """Publish only the keys that sign now."""
        self._published = list(self._signing.values())

    def published(self) -> list[dict[str, Any]]:
        """Return the public halves of the published keys (RFC 7517)."""
        return [dict(key.as_dict(private=False)) for key in self._published]
