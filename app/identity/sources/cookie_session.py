"""People with a session cookie that only their application can read."""

import time
from collections.abc import Callable, Iterator
from http import HTTPStatus

from app.errors import UnauthenticatedError
from app.identity.cache import CachedClaims, ClaimsCache
from app.identity.claims import user_of
from app.identity.credentials import Credential
from app.identity.fetch import Fetcher, unavailable
from app.identity.models import Caller, Claims
from app.identity.source import Source, probe_with_made_up_credential
from app.settings import CookieSessionSettings, IdentitySettings
from app.settings.identity_source import ConfiguredSource

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
        """Return the person that a session cookie identifies."""
        return user_of(self.name, self._settings, await self.verify(credential.value), {})

    async def verify(self, cookie: str) -> Claims:
        """Return the claims of the person that a session cookie identifies.

        Raises:
            UnauthenticatedError: the application says that no one is signed in.
            IdentityProviderUnavailableError: the application gives no usable response.
        """
        return await self._cache.get(cookie, lambda: self._fetch(cookie))

    async def probe(self) -> str:
        """Send a made-up cookie to the application."""
        return await probe_with_made_up_credential(self.verify)

    async def _fetch(self, cookie: str) -> CachedClaims:
        url = self._settings.whoami_url
        headers = {"cookie": f"{self._settings.cookie}={cookie}"}
        response = await self._fetcher.get(url, headers)
        if response.status in _NOT_SIGNED_IN:
            reason = f"{url}: responded with {response.status}"
            raise UnauthenticatedError("You are not signed in.", reason=reason)
        claims = response.json()
        if not isinstance(claims, dict):
            raise unavailable(url, "responded with JSON that is not an object")
        subject = claims.get("sub")
        if isinstance(subject, bool) or not isinstance(subject, str | int) or subject == "":
            raise unavailable(url, "responded without a usable sub")
        return CachedClaims({**claims, "sub": str(subject)}, self._settings.cache_seconds)


def build(settings: IdentitySettings, fetcher: Fetcher) -> Iterator[CookieSessionSource]:
    """Yield a source for each application with cookie sessions."""
    for configured in settings.sources_of(CookieSessionSettings):
        yield CookieSessionSource(configured, fetcher)
