"""An issuer's keys: kept at hand, renewed before they age, fetched at most so often.

No request waits for the network while there are keys: they are renewed in the background. Only a
key id that is not in the set makes a request wait, once per cool-down and all waiting ones
together, because that is what a rotation looks like. A stranger who makes up key ids therefore
causes one fetch per cool-down, and evicts nothing. When the issuer does not answer, the keys at
hand serve on up to a hard age.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from app.errors import IdentityProviderUnavailableError, UnauthenticatedError
from app.identity.discovery import Discovery
from app.identity.fetch import Fetcher
from app.identity.keys import PublicKey, matching, public_keys
from app.settings import IdentitySettings, IssuerSettings
from app.single_flight import SingleFlight

MAX_UNKNOWN_KIDS = 1024
_UNKNOWN_FOR_COOLDOWNS = 4
_COOLDOWN_WITHOUT_KEYS = 2.0

logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class JwksState:
    """What there is to know about an issuer's keys just now.

    Attributes:
        keys: how many are at hand.
        age_seconds: how long ago they were fetched; None when they never were.
        usable: whether tokens can be verified with them.
        error: why the last fetch failed; None when it did not.
    """

    keys: int
    age_seconds: float | None
    usable: bool
    error: str | None


class Jwks:
    """The keys of one issuer."""

    def __init__(  # noqa: PLR0913 - what it takes to fetch and to judge
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
        self._fetched_at: float | None = None
        self._tried_at: float | None = None
        self._error: str | None = None
        self._unknown: OrderedDict[str, float] = OrderedDict()
        self._flight: SingleFlight[None] = SingleFlight()
        self._is_fetching = False

    async def key(self, kid: str | None, algorithm: str) -> PublicKey:
        """Return the key that a token's header names.

        Raises:
            UnauthenticatedError: when the issuer has no such key.
            IdentityProviderUnavailableError: when that cannot be known just now.
        """
        if not self.state().usable:
            await self._refresh_unless_cooling()
            if not self.state().usable:
                raise self._unavailable()
        found = matching(self._keys, kid, algorithm)
        if found is None and not self._is_known_unknown(kid):
            if await self._refresh_unless_cooling():
                found = matching(self._keys, kid, algorithm)
            if found is None and self._error is not None:
                raise self._unavailable()
            if found is None:
                self._remember_unknown(kid)
        if found is None:
            raise UnauthenticatedError(
                "The access token is not valid.", reason="signed with a key the issuer lacks"
            )
        return found

    def state(self) -> JwksState:
        """Return a snapshot for readiness and metrics."""
        age = None if self._fetched_at is None else self._clock() - self._fetched_at
        usable = bool(self._keys) and age is not None and age <= self._settings.jwks_max_age_seconds
        return JwksState(len(self._keys), age, usable, self._error)

    async def refresh_if_due(self) -> None:
        """Fetch the keys when there are none, or when they are older than the refresh age."""
        if self._is_due():
            await self._flight.join("keys", self._refresh)

    def _is_due(self) -> bool:
        age = self.state().age_seconds
        old = age is None or age >= self._settings.jwks_refresh_seconds
        return old and not self._is_cooling()

    def _is_cooling(self) -> bool:
        # Without a key nothing works, so an issuer that comes back is noticed soon.
        cooldown = self._settings.jwks_cooldown_seconds if self._keys else _COOLDOWN_WITHOUT_KEYS
        return self._tried_at is not None and self._clock() - self._tried_at < cooldown

    async def _refresh_unless_cooling(self) -> bool:
        if self._is_cooling() and not self._is_fetching:
            return False
        await self._flight.join("keys", self._refresh)
        return True

    async def _refresh(self) -> None:
        self._tried_at, self._is_fetching = self._clock(), True
        try:
            keys, left_out = public_keys(await self._fetch())
        except IdentityProviderUnavailableError as error:
            self._failed(error.reason or "unavailable")
        except ValueError as error:
            self._failed(str(error))
        else:
            self._replace(keys, left_out)
        finally:
            self._is_fetching = False

    async def _fetch(self) -> object:
        uri = await self._discovery.endpoint("jwks_uri", self._issuer.jwks_uri)
        return await self._fetcher.get_json(uri)

    def _replace(self, keys: tuple[PublicKey, ...], left_out: int) -> None:
        if {key.kid for key in keys} != {key.kid for key in self._keys}:
            self._unknown.clear()
            logger.info("jwks_changed", issuer=self._name, keys=len(keys), left_out=left_out)
        self._keys, self._fetched_at, self._error = keys, self._clock(), None

    def _failed(self, reason: str) -> None:
        self._error = reason
        self._discovery.forget()  # Perhaps the keys have moved.
        logger.warning("jwks_fetch_failed", issuer=self._name, reason=reason)

    def _is_known_unknown(self, kid: str | None) -> bool:
        until = self._unknown.get(kid or "")
        return until is not None and self._clock() < until

    def _remember_unknown(self, kid: str | None) -> None:
        lasts = self._settings.jwks_cooldown_seconds * _UNKNOWN_FOR_COOLDOWNS
        self._unknown[kid or ""] = self._clock() + lasts
        self._unknown.move_to_end(kid or "")
        if len(self._unknown) > MAX_UNKNOWN_KIDS:
            self._unknown.popitem(last=False)

    def _unavailable(self) -> IdentityProviderUnavailableError:
        return IdentityProviderUnavailableError(
            "The identity provider cannot be reached just now; try again shortly.",
            reason=self._error,
            retry_after=self._settings.jwks_cooldown_seconds,
        )
