"""The keys of an issuer (its JWK Set): cached, refreshed in the background, fetched rarely.

While keys are cached, no request waits for the network. Only a key id that is not in the set makes
a request wait, because that is what a key rotation looks like: at most one fetch per cool-down, for
all waiting requests together. So made-up key ids cause one fetch per cool-down, and evict nothing.
If the issuer does not respond, the cached keys are used up to a maximum age.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from ..common.single_flight import SingleFlight
from ..errors import IdentityProviderUnavailableError
from ..settings import IdentitySettings, IssuerSettings
from .discovery import Discovery
from .fetch import Fetcher
from .findings import invalid, listing
from .public_keys import LeftOutKey, PublicKey, matching, public_keys
from .unknown_kids import UnknownKids

_COOLDOWN_WITHOUT_KEYS = 2.0
_MAX_LOGGED = 8

logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class JwksState:
    """The state of an issuer's keys at one moment.

    Attributes:
        keys: the number of cached keys.
        age_seconds: seconds since they were fetched; None if they never were.
        usable: whether tokens can be verified with them.
        error: why the last fetch failed; None if it succeeded.
    """

    keys: int
    age_seconds: float | None
    usable: bool
    error: str | None


class Jwks:
    """The keys of one issuer."""

    def __init__(  # noqa: PLR0913 - what fetches keys, and what limits that
        self,
        name: str,
        issuer: IssuerSettings,
        settings: IdentitySettings,
        discovery: Discovery,
        fetcher: Fetcher,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._issuer = issuer
        self._settings = settings
        self._discovery = discovery
        self._fetcher = fetcher
        self._clock = clock
        self._keys: tuple[PublicKey, ...] = ()
        self._left_out: tuple[LeftOutKey, ...] = ()
        self._fetched_at: float | None = None
        self._tried_at: float | None = None
        self._error: str | None = None
        self._unknown = UnknownKids(settings.jwks_cooldown_seconds, clock)
        self._flight: SingleFlight[None] = SingleFlight()

    async def key(self, kid: str | None, algorithm: str) -> PublicKey:
        """Return the key that the header of a token selects.

        Args:
            kid: the key id in the header, if there is one.
            algorithm: the algorithm in the header.

        Raises:
            UnauthenticatedError: the issuer has no such key.
            IdentityProviderUnavailableError: the keys cannot be fetched.
        """
        if not self._usable():
            await self.refresh_if_due()
            self.raise_unless_usable()
        if (key := matching(self._keys, kid, algorithm)) is not None:
            return key
        # Every request during a fetch waits for it.
        if self._flight.is_under_way("keys") or self._unknown.admit_fetch(kid):
            await self._flight.join("keys", self._fetch)
            if (key := matching(self._keys, kid, algorithm)) is not None:
                return key
            if self._error is None:
                self._unknown.add(kid)
        if self._error is not None:
            raise self._unavailable()
        raise invalid(self._no_key(kid, algorithm))

    def cached_key(self, kid: str | None, algorithm: str) -> PublicKey | None:
        """Return the cached key that the header of a token selects; send no request."""
        return matching(self._keys, kid, algorithm) if self._usable() else None

    def state(self) -> JwksState:
        """Return the current state, for readiness and metrics."""
        return JwksState(len(self._keys), self._age(), self._usable(), self._error)

    def raise_unless_usable(self) -> None:
        """Do nothing if tokens can be verified.

        Raises:
            IdentityProviderUnavailableError: there are no keys, or they are too old.
        """
        if not self._usable():
            raise self._unavailable()

    async def refresh_if_due(self) -> None:
        """Fetch the keys if none are usable, or if they have reached the refresh age."""
        state = self.state()
        due = not state.usable or (state.age_seconds or 0) >= self._settings.jwks_refresh_seconds
        # Without keys no request succeeds, so a recovery is noticed soon.
        cooldown = self._settings.jwks_cooldown_seconds if state.usable else _COOLDOWN_WITHOUT_KEYS
        cooled_down = self._tried_at is None or self._clock() - self._tried_at >= cooldown
        if self._flight.is_under_way("keys") or (due and cooled_down):
            await self._flight.join("keys", self._fetch)

    def _age(self) -> float | None:
        return None if self._fetched_at is None else self._clock() - self._fetched_at

    def _usable(self) -> bool:
        age = self._age()
        return bool(self._keys) and age is not None and age <= self._settings.jwks_max_age_seconds

    async def _fetch(self) -> None:
        self._tried_at = self._clock()
        try:
            url = await self._discovery.endpoint("jwks_uri", self._issuer.keys_url)
            keys, left_out = public_keys(await self._fetcher.get_json(url))
        except IdentityProviderUnavailableError as error:
            self._fail(error.reason or "unavailable")
        except ValueError as error:
            self._fail(str(error))
        else:
            self._replace(keys, left_out)

    def _replace(self, keys: tuple[PublicKey, ...], left_out: tuple[LeftOutKey, ...] = ()) -> None:
        rotated = {key.kid for key in keys} != {key.kid for key in self._keys}
        if rotated:
            self._unknown.clear()
        if rotated or left_out != self._left_out:
            logger.info(
                "jwks_changed",
                issuer=self._name,
                keys=len(keys),
                left_out=len(left_out),
                left_out_keys=[str(one) for one in left_out[:_MAX_LOGGED]],
            )
        self._keys, self._left_out = keys, left_out
        self._fetched_at, self._error = self._clock(), None

    def _fail(self, reason: str) -> None:
        self._error = reason
        self._discovery.invalidate()  # The URL of the keys may have changed.
        logger.warning("jwks_fetch_failed", issuer=self._name, reason=reason)

    def _no_key(self, kid: str | None, algorithm: str) -> str:
        for one in self._left_out:
            if kid is not None and one.kid == kid:
                return f"the key of this token was left out: {one}"
        kids = listing(key.kid or "" for key in self._keys[:_MAX_LOGGED])
        return (
            "the issuer has no key with this kid and algorithm: "
            f"received the algorithm {algorithm!a}; the issuer's kids are {kids}"
        )

    def _unavailable(self) -> IdentityProviderUnavailableError:
        return IdentityProviderUnavailableError(
            "Your sign-in cannot be checked right now. Try again shortly.",
            reason=self._error,
            retry_after=self._settings.jwks_cooldown_seconds,
        )
