"""An issuer's keys: kept at hand, renewed before they age, fetched at most so often.

No request waits for the network while there are keys: they are renewed in the background. Only a
key id that is not in the set makes a request wait, once per cool-down and all waiting ones
together, because that is what a rotation looks like. A stranger who makes up key ids therefore
causes one fetch per cool-down, and evicts nothing. When the issuer does not answer, the keys at
hand serve on up to a hard age.
"""

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from app.common.single_flight import SingleFlight
from app.errors import IdentityProviderUnavailableError, UnauthenticatedError
from app.identity.discovery import Discovery
from app.identity.fetch import Fetcher
from app.identity.public_keys import PublicKey, matching, public_keys
from app.settings import IdentitySettings, IssuerSettings

MAX_UNKNOWN_KIDS = 1024
_REST_WITHOUT_KEYS = 2.0

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
        self._unknown = UnknownKids(settings.jwks_cooldown_seconds, clock)
        self._flight: SingleFlight[None] = SingleFlight()

    async def key(self, kid: str | None, algorithm: str) -> PublicKey:
        """Return the key that a token's header names.

        Raises:
            UnauthenticatedError: when the issuer has no such key.
            IdentityProviderUnavailableError: when that cannot be known just now.
        """
        if not self._usable():
            await self.refresh_if_due()
            if not self._usable():
                raise self._unavailable()
        found = matching(self._keys, kid, algorithm)
        if found is None and (
            # Everyone who comes while a fetch is under way waits for it, too.
            self._flight.is_under_way("keys") or self._unknown.may_be_new(kid)
        ):
            await self._flight.join("keys", self._refresh)
            found = matching(self._keys, kid, algorithm)
        if found is None and self._error is not None:
            raise self._unavailable()
        if found is None:
            self._unknown.remember(kid)
            raise UnauthenticatedError(
                "The access token is not valid.", reason="signed with a key the issuer lacks"
            )
        return found

    def at_hand(self, kid: str | None, algorithm: str) -> PublicKey | None:
        """Return the key that a token's header names, as far as it is known without asking."""
        return matching(self._keys, kid, algorithm) if self._usable() else None

    def state(self) -> JwksState:
        """Return a snapshot for readiness and metrics."""
        return JwksState(len(self._keys), self._age(), self._usable(), self._error)

    def _age(self) -> float | None:
        return None if self._fetched_at is None else self._clock() - self._fetched_at

    def _usable(self) -> bool:
        age = self._age()
        return bool(self._keys) and age is not None and age <= self._settings.jwks_max_age_seconds

    async def refresh_if_due(self) -> None:
        """Fetch the keys when there are none that serve, or they are older than the refresh age."""
        state = self.state()
        old = not state.usable or (state.age_seconds or 0) >= self._settings.jwks_refresh_seconds
        # Without keys nothing works, so an issuer that comes back is noticed soon.
        rest = self._settings.jwks_cooldown_seconds if state.usable else _REST_WITHOUT_KEYS
        rested = self._tried_at is None or self._clock() - self._tried_at >= rest
        if self._flight.is_under_way("keys") or (old and rested):
            await self._flight.join("keys", self._refresh)

    async def _refresh(self) -> None:
        self._tried_at = self._clock()
        try:
            keys, left_out = public_keys(await self._fetch())
        except IdentityProviderUnavailableError as error:
            self._failed(error.reason or "unavailable")
        except ValueError as error:
            self._failed(str(error))
        else:
            self._replace(keys, left_out)

    async def _fetch(self) -> object:
        uri = await self._discovery.endpoint("jwks_uri", self._issuer.jwks_uri)
        return await self._fetcher.get_json(uri)

    def _replace(self, keys: tuple[PublicKey, ...], left_out: int) -> None:
        if {key.kid for key in keys} != {key.kid for key in self._keys}:
            self._unknown.forget()
            logger.info("jwks_changed", issuer=self._name, keys=len(keys), left_out=left_out)
        self._keys, self._fetched_at, self._error = keys, self._clock(), None

    def _failed(self, reason: str) -> None:
        self._error = reason
        self._discovery.forget()  # Perhaps the keys have moved.
        logger.warning("jwks_fetch_failed", issuer=self._name, reason=reason)

    def _unavailable(self) -> IdentityProviderUnavailableError:
        return IdentityProviderUnavailableError(
            "The identity provider cannot be reached right now. Try again shortly.",
            reason=self._error,
            retry_after=self._settings.jwks_cooldown_seconds,
        )


class UnknownKids:
    """Key ids that were asked for and are not in the set, and when it may be fetched for one.

    A fetch for its age does not count: a rotation right after one is noticed all the same.
    """

    def __init__(self, cooldown_seconds: float, clock: Callable[[], float]) -> None:
        self._cooldown = cooldown_seconds
        self._clock = clock
        self._known: OrderedDict[str | None, float] = OrderedDict()
        self._next_fetch = -math.inf

    def __len__(self) -> int:
        return len(self._known)

    def may_be_new(self, kid: str | None) -> bool:
        """Tell whether to fetch the set for this id; who is told so is expected to."""
        now = self._clock()
        if now < max(self._next_fetch, self._known.get(kid, -math.inf)):
            return False
        self._next_fetch = now + self._cooldown
        return True

    def remember(self, kid: str | None) -> None:
        """Ask no more for this id for a while, so that it leaves the next fetch to others.

        Who comes with it meanwhile does not make it longer: its key may be published late.
        """
        now = self._clock()
        if now >= self._known.get(kid, -math.inf):
            self._known[kid] = now + 2 * self._cooldown
        self._known.move_to_end(kid)
        if len(self._known) > MAX_UNKNOWN_KIDS:
            self._known.popitem(last=False)

    def forget(self) -> None:
        """Begin anew: the set has changed."""
        self._known.clear()
