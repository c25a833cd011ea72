"""Callers whose tokens were verified, for as long as what was verified still holds.

A caller comes with the same token many times, and a signature that held once holds as long as the
issuer's keys have the same one for it, and the token has not expired. That is looked at each time;
parsing, signature and claims are not gone through again. Only a token that was verified is
remembered, so whoever makes tokens up evicts nobody; and what has expired makes room by itself.
"""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass

from cachetools import TLRUCache

from app.identity.jwks import Jwks
from app.identity.models import Caller
from app.identity.public_keys import PublicKey


@dataclass(frozen=True, slots=True)
class Proof:
    """What a verified token's worth depends on.

    Attributes:
        jwks: the keys of its issuer, as they are at any time.
        kid: the id of the key that its header names, where it names one.
        algorithm: the algorithm that its header names.
        key: what these two meant when it was verified.
        until: the moment at which it expires or is too old, without leeway; in seconds since 1970.
    """

    jwks: Jwks
    kid: str | None
    algorithm: str
    key: PublicKey
    until: float

    def holds(self) -> bool:
        """Tell whether the issuer's keys, as they are now, would choose the same one."""
        return self.jwks.at_hand(self.kid, self.algorithm) == self.key


class _Entries(TLRUCache[bytes, tuple[Caller, Proof]]):
    """What is remembered, of which nothing is shown."""

    def __repr__(self) -> str:
        return f"<{len(self)} callers>"


class VerifiedTokenCache:
    """Callers by token, so many at most; the one who has not come for longest makes room.

    The key is a digest of the token, so that a dump of memory holds no token here.
    """

    def __init__(self, max_entries: int, clock: Callable[[], float] = time.time) -> None:
        """Take how many to remember, and what tells the time since 1970 in seconds."""
        self._max = max_entries
        self._entries = _Entries(
            max_entries, ttu=lambda _, remembered, __: remembered[1].until, timer=clock
        )

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, token: str) -> Caller | None:
        """Return the caller whom a token proves, or None when it has to be verified (again)."""
        digest = _digest(token)
        known = self._entries.get(digest)
        if known is None:
            return None
        caller, proof = known
        if proof.holds():
            return caller
        self._entries.pop(digest, None)
        return None

    def keep(self, token: str, caller: Caller, proof: Proof) -> None:
        """Remember whom a token proves that was verified just now."""
        if self._max:
            self._entries[_digest(token)] = caller, proof


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
