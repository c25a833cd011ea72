"""What others said about a credential, remembered for a moment."""

import hashlib
import time
from collections.abc import Callable, Coroutine
from typing import Any

from cachetools import TLRUCache

from app.common.single_flight import SingleFlight
from app.identity.models import Claims

MAX_ENTRIES = 10_000

Answer = tuple[Claims, float]
"""Claims, and for how many seconds they may be believed."""


class _Answers(TLRUCache[bytes, Answer]):
    """What is remembered, of which nothing is shown: claims hold people's names and addresses."""

    def __repr__(self) -> str:
        return f"<{len(self)} answers>"


class ClaimsCache:
    """Claims by credential: bounded, each with an end of its own, asked for once at a time.

    The key is a digest of the credential, so that a dump of memory holds no credential here.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._answers = _Answers(
            MAX_ENTRIES, ttu=lambda _, answer, now: now + answer[1], timer=clock
        )
        self._flight: SingleFlight[Claims] = SingleFlight()

    async def get(self, credential: str, ask: Callable[[], Coroutine[Any, Any, Answer]]) -> Claims:
        """Return what is known about a credential, asking where nothing is.

        Raises:
            IdentityError: whatever asking raises; failures are not remembered.
        """
        key = hashlib.sha256(credential.encode()).digest()
        known = self._answers.get(key)
        if known is not None:
            return known[0]

        async def ask_and_remember() -> Claims:
            answer = await ask()
            self._answers[key] = answer
            return answer[0]

        return await self._flight.join(key, ask_and_remember)
