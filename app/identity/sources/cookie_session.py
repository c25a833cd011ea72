"""People with a session cookie that only their application can read."""

import time
from collections.abc import Callable, Iterator
from http import HTTPStatus

from ...errors import UnauthenticatedError
from ...settings import CookieSessionSettings, IdentitySettings
from ...settings.claims import listed
from ...settings.identity_source import ConfiguredSource
from ..cache import CachedClaims, ClaimsCache
from ..claim_rules import names_its_actor
from ..claims import user_of
from ..credentials import Credential
from ..fetch import Fetcher, unavailable
from ..models import Caller, Claims
from ..source import Source, probe_with_made_up_credential

_NOT_SIGNED_IN = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})


class CookieSessionSource(Source):
    """One application with a "who am I" endpoint."""

    def __init__(
        self,
        configured: ConfiguredSource[CookieSessionSettings],
        fetcher: Fetcher,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(configured)
        self._settings = configured.settings
        self._fetcher = fetcher
        self._cache = ClaimsCache(clock)

    def recognizes(self, _: Credential) -> bool:
        """Return True: no other source uses the same cookie."""
        return True

    async def caller(self, credential: Credential) -> Caller:
        """Return the person that the cookies of a session identify."""
        claims = await self.verify(credential.value)
        return user_of(self.name, self._settings, claims, {}, self.reserved_prefixes)

    async def verify(self, cookies: str) -> Claims:
        """Return the claims of the person that a session identifies.

        Args:
            cookies: the names and values of all cookies of the session, as a Cookie header has
                them. Sessions that differ in one of them are different sessions.

        Raises:
            UnauthenticatedError: the application says that no one is signed in.
            IdentityProviderUnavailableError: the application gives no usable response.
        """
        return await self._cache.get(cookies, lambda: self._fetch(cookies))

    async def probe(self) -> str:
        """Send a made-up cookie to the application."""
        name = listed(self._settings.cookie)[0].removesuffix("*")
        return await probe_with_made_up_credential(lambda value: self.verify(f"{name}={value}"))

    async def _fetch(self, cookies: str) -> CachedClaims:
        url = self._settings.whoami_url
        response = await self._fetcher.get(url, {"cookie": cookies})
        if response.status in _NOT_SIGNED_IN:
            reason = f"{url}: responded with {response.status}"
            raise UnauthenticatedError("You are not signed in.", reason=reason)
        claims = response.json()
        if not isinstance(claims, dict):
            raise unavailable(url, "responded with JSON that is not an object")
        subject = claims.get("sub")
        if isinstance(subject, bool) or not isinstance(subject, str | int) or subject == "":
            raise unavailable(url, "responded without a usable sub")
        if claims.get("act", ...) is None:
            del claims["act"]
        if not names_its_actor(claims):
            raise unavailable(url, "responded with an act that names no actor")
        return CachedClaims({**claims, "sub": str(subject)}, self._settings.cache_seconds)


def build(settings: IdentitySettings, fetcher: Fetcher) -> Iterator[CookieSessionSource]:
    """Yield a source for each application with cookie sessions."""
    for configured in settings.sources_of(CookieSessionSettings):
        yield CookieSessionSource(configured, fetcher)
