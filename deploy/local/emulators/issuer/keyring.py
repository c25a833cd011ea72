"""The signing keys of the issuer, and their rotation."""

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
    # Generating an RSA key takes most of a second, so all issuers of a process share the first one.
    return _new(kind)


def _new(kind: str) -> jwk.Key:
    extra = {"kid": f"{kind.lower()}-{next(_numbers)}", "use": "sig"}
    if kind == RSA:
        return jwk.RSAKey.generate_key(2048, extra)  # type: ignore[arg-type]
    if kind == EC:
        return jwk.ECKey.generate_key("P-256", extra)  # type: ignore[arg-type]
    return jwk.OKPKey.generate_key("Ed25519", extra)  # type: ignore[arg-type]


class Keyring:
    """The current signing keys, and the published keys."""

    def __init__(self) -> None:
        self._signing = {kind: _first(kind) for kind in (RSA, EC, ED)}
        self._published = list(self._signing.values())

    def signing_key(self, algorithm: str) -> jwk.Key:
        """Return the current key for an algorithm."""
        return self._signing[KIND_OF[algorithm]]

    def rotate(self, algorithm: str = RSA) -> None:
        """Replace a signing key; the old key stays published."""
        kind = KIND_OF[algorithm]
        self._signing[kind] = _new(kind)
        self._published.append(self._signing[kind])

    def retire(self) -> None:
        """Publish the current signing keys only."""
        self._published = list(self._signing.values())

    def published(self) -> list[dict[str, Any]]:
        """Return the public halves of the published keys (RFC 7517)."""
        return [dict(key.as_dict(private=False)) for key in self._published]
