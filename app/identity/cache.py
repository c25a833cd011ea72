"""Claims that an issuer or an application reported about a credential, cached for some seconds."""

import hashlib
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from cachetools import TLRUCache

from ..common.single_flight import SingleFlight
from .models import Claims

MAX_ENTRIES = 10_000


@dataclass(frozen=True, slots=True)
class CachedClaims:
    """Claims about a credential.

    Attributes:
        claims: the claims; not in `repr`, because they contain names and addresses of people.
        seconds: how long they may be used.
    """

    claims: Claims = field(repr=False)
    seconds: float


class ClaimsCache:
    """Claims by credential: bounded, with a time limit for each, and fetched once at a time.

    The key is a digest of the credential, so that a memory dump contains no credential.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._entries: TLRUCache[bytes, CachedClaims] = TLRUCache(
            MAX_ENTRIES, ttu=lambda _, entry, now: now + entry.seconds, timer=clock
        )
        self._flight: SingleFlight[Claims] = SingleFlight()

    async def get(
        self, credential: str, fetch: Callable[[], Coroutine[Any, Any, CachedClaims]]
    ) -> Claims:
        """Return the claims about a credential; fetch them if they are not cached.

        Raises:
            IdentityError: the fetch failed, which is not cached.
        """
        key = hashlib.sha256(credential.encode()).digest()
        cached = self._entries.get(key)
        if cached is not None:
            return cached.claims

        async def fetch_and_cache() -> Claims:
            entry = await fetch()
            self._entries[key] = entry
            return entry.claims

        return await self._flight.join(key, fetch_and_cache)
