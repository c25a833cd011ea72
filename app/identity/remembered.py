"""Callers whose tokens were verified, for as long as what was verified still holds.

A caller comes with the same token many times, and a signature that held once holds as long as its
key is among the issuer's, and the token has not expired. That is looked at each time; parsing,
signature and claims are not gone through again. Only a token that was verified is remembered, so
whoever makes tokens up evicts nobody.
"""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass

from cachetools import LRUCache

from app.identity.jwks import Jwks
from app.identity.keys import PublicKey
from app.identity.models import Caller


@dataclass(frozen=True, slots=True)
class Proof:
    """What a verified token's worth depends on.

    Attributes:
        jwks: the keys of its issuer, as they are at any time.
        key: the one among them that verified it.
        until: the moment at which it expires or is too old, without leeway; in seconds since 1970.
    """

    jwks: Jwks
    key: PublicKey
    until: float


class _Entries(LRUCache[bytes, tuple[Caller, Proof]]):
    """What is remembered, of which nothing is shown."""

    def __repr__(self) -> str:
        return f"<{len(self)} callers>"


class RememberedCallers:
    """Callers by token, so many at most; the one who has not come for longest makes room.

    The key is a digest of the token, so that a dump of memory holds no token here.
    """

    def __init__(self, max_entries: int, clock: Callable[[], float] = time.time) -> None:
        """Take how many to remember, and what tells the time since 1970 in seconds."""
        self._max = max_entries
        self._clock = clock
        self._entries = _Entries(max_entries)

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, token: str) -> Caller | None:
        """Return the caller whom a token proves, or None when it has to be verified (again)."""
        digest = _digest(token)
        known = self._entries.get(digest)
        if known is None:
            return None
        caller, proof = known
        if self._clock() < proof.until and proof.jwks.holds(proof.key):
            return caller
        del self._entries[digest]
        return None

    def keep(self, token: str, caller: Caller, proof: Proof) -> None:
        """Remember whom a token proves that was verified just now."""
        if self._max:
            self._entries[_digest(token)] = caller, proof


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
