"""Callers by verified token.

A caller sends the same token many times. Its signature stays valid as long as the issuer publishes
the same key for it and the token has not expired, so only that is checked again; parsing, signature
and claims are not. Only verified tokens are cached, so made-up tokens evict no entry.
"""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass

from cachetools import TLRUCache

from .jwks import Jwks
from .models import Caller
from .public_keys import PublicKey


@dataclass(frozen=True, slots=True)
class Proof:
    """What the validity of a verified token depends on.

    Attributes:
        jwks: the keys of its issuer, which change over time.
        kid: the key id in its header, if there is one.
        algorithm: the algorithm in its header.
        key: the key that this id and algorithm selected when the token was verified.
        valid_until: when the token expires or is too old, without leeway; in seconds since 1970.
    """

    jwks: Jwks
    kid: str | None
    algorithm: str
    key: PublicKey
    valid_until: float

    def still_valid(self) -> bool:
        """Return whether the issuer's current keys select the same key."""
        return self.jwks.cached_key(self.kid, self.algorithm) == self.key


class _Entries(TLRUCache[bytes, tuple[Caller, Proof]]):
    """The entries; `repr` shows none of them."""

    def __repr__(self) -> str:
        return f"<{len(self)} callers>"


class VerifiedTokenCache:
    """Callers by token, with a maximum number; the least recently used entry is evicted first.

    The key is a digest of the token, so that a memory dump contains no token.
    """

    def __init__(self, max_entries: int, clock: Callable[[], float] = time.time) -> None:
        """Create an empty cache; the clock counts seconds since 1970."""
        self._max = max_entries
        self._entries = _Entries(
            max_entries, ttu=lambda _, entry, __: entry[1].valid_until, timer=clock
        )

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, token: str) -> Caller | None:
        """Return the caller that a token proves; None if the token has to be verified."""
        digest = _digest(token)
        entry = self._entries.get(digest)
        if entry is None:
            return None
        caller, proof = entry
        if proof.still_valid():
            return caller
        self._entries.pop(digest, None)
        return None

    def add(self, token: str, caller: Caller, proof: Proof) -> None:
        """Add the caller of a token that was just verified."""
        if self._max:
            self._entries[_digest(token)] = caller, proof


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
