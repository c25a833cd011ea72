"""Limits how often unknown key ids cause a fetch of an issuer's keys."""

import math
from collections.abc import Callable

from cachetools import TTLCache

MAX_UNKNOWN_KIDS = 1024


class UnknownKids:
    """Key ids that tokens named and the issuer lacks, and when the next one may cause a fetch.

    A fetch because of the keys' age does not count: a rotation right after it is noticed, too.
    """

    def __init__(self, cooldown_seconds: float, clock: Callable[[], float]) -> None:
        self._cooldown = cooldown_seconds
        self._clock = clock
        # For two cool-downs, so that other key ids can cause the next fetch.
        self._kids: TTLCache[str | None, None] = TTLCache(
            MAX_UNKNOWN_KIDS, 2 * cooldown_seconds, clock
        )
        self._next_fetch = -math.inf

    def __len__(self) -> int:
        return len(self._kids)

    def admit_fetch(self, kid: str | None) -> bool:
        """Return whether this key id may cause a fetch; if so, the cool-down begins."""
        now = self._clock()
        if now < self._next_fetch or kid in self._kids:
            return False
        self._next_fetch = now + self._cooldown
        return True

    def add(self, kid: str | None) -> None:
        """Let this key id cause no fetch for two cool-downs.

        Further tokens with it do not extend that time: its key may be published late.
        """
        self._kids.setdefault(kid)

    def clear(self) -> None:
        """Let every key id cause a fetch again, because the issuer's keys have changed."""
        self._kids.clear()
