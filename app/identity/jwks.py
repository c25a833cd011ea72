"""An issuer's keys: kept at hand, renewed before they age, fetched at most so often.

No request waits for the network while there are keys: they are renewed in the background. Only a
key id that is not in the set makes a request wait, once per cool-down and all waiting ones
together, because that is what a rotation looks like. A stranger who makes up key ids therefore
causes one fetch per cool-down, and evicts nothing. When the issuer does not answer, the keys at
hand serve on up to a hard age.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
import structlog

from app.errors import IdentityProviderUnavailableError, UnauthenticatedError
from app.identity.fetch import get_json
from app.identity.keys import PublicKey, matching, public_keys
from app.settings import IdentitySettings, IssuerSettings
from app.urls import is_loopback, web_url

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

    def __init__(
        self,
        name: str,
        issuer: IssuerSettings,
        settings: IdentitySettings,
        http: httpx.AsyncClient,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._issuer = issuer
        self._settings = settings
        self._http = http
        self._clock = clock
        self._keys: tuple[PublicKey, ...] = ()
        self._fetched_at: float | None = None
        self._tried_at: float | None = None
        self._error: str | None = None
        self._unknown: OrderedDict[str, float] = OrderedDict()
        self._discovered_uri: str | None = None
        self._flight: asyncio.Task[None] | None = None

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
        elif self._is_due():
            self._take_off()
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
            await self._take_off()

    async def aclose(self) -> None:
        """End a fetch that is under way."""
        if self._flight is not None:
            self._flight.cancel()
            await asyncio.gather(self._flight, return_exceptions=True)

    def _is_due(self) -> bool:
        age = self.state().age_seconds
        old = age is None or age >= self._settings.jwks_refresh_seconds
        return old and not self._is_cooling()

    def _is_cooling(self) -> bool:
        # Without a key nothing works, so an issuer that comes back is noticed soon.
        cooldown = self._settings.jwks_cooldown_seconds if self._keys else _COOLDOWN_WITHOUT_KEYS
        return self._tried_at is not None and self._clock() - self._tried_at < cooldown

    async def _refresh_unless_cooling(self) -> bool:
        if self._flight is None and self._is_cooling():
            return False
        # Shielded, so that one caller who hangs up does not end the fetch for all who wait.
        await asyncio.shield(self._take_off())
        return True

    def _take_off(self) -> asyncio.Task[None]:
        if self._flight is None:
            self._tried_at = self._clock()
            self._flight = asyncio.create_task(self._refresh())
            self._flight.add_done_callback(self._landed)
        return self._flight

    def _landed(self, _: asyncio.Task[None]) -> None:
        self._flight = None

    async def _refresh(self) -> None:
        try:
            keys, left_out = public_keys(await self._get(await self._jwks_uri()))
        except IdentityProviderUnavailableError as error:
            self._failed(error.reason or "unavailable")
            return
        except ValueError as error:
            self._failed(str(error))
            return
        if {key.kid for key in keys} != {key.kid for key in self._keys}:
            self._unknown.clear()
            logger.info("jwks_changed", issuer=self._name, keys=len(keys), left_out=left_out)
        self._keys, self._fetched_at, self._error = keys, self._clock(), None

    def _failed(self, reason: str) -> None:
        self._error = reason
        self._discovered_uri = None  # Perhaps the keys have moved: ask again next time.
        logger.warning("jwks_fetch_failed", issuer=self._name, reason=reason)

    async def _jwks_uri(self) -> str:
        known = self._issuer.jwks_uri or self._discovered_uri
        if known is not None:
            return known
        issuer = self._issuer.issuer
        metadata = await self._get(f"{issuer.removesuffix('/')}/.well-known/openid-configuration")
        if not isinstance(metadata, dict) or metadata.get("issuer") != issuer:
            raise ValueError("the discovery document is another issuer's")
        uri = web_url(str(metadata.get("jwks_uri")))
        if is_loopback(uri) and not is_loopback(issuer):
            raise ValueError("the discovery document names a loopback jwks_uri")
        self._discovered_uri = uri
        return uri

    async def _get(self, url: str) -> Any:
        return await get_json(self._http, url, timeout_seconds=self._settings.fetch_timeout_seconds)

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
