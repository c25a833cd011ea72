"""Asking an application about its own session cookie."""

import time
from collections.abc import Callable
from http import HTTPStatus

from app.errors import UnauthenticatedError
from app.identity.cache import Answer, ClaimsCache
from app.identity.fetch import Fetcher, unavailable
from app.identity.models import Claims
from app.settings import CookieSessionSettings

_NOT_SIGNED_IN = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})


class WhoAmI:
    """Asks one application who a session cookie belongs to."""

    def __init__(
        self,
        settings: CookieSessionSettings,
        fetcher: Fetcher,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._fetcher = fetcher
        self._cache = ClaimsCache(clock)

    async def verify(self, cookie: str) -> Claims:
        """Return the claims of the person who is signed in with a cookie.

        Raises:
            UnauthenticatedError: when the application says that nobody is.
            IdentityProviderUnavailableError: when it does not say.
        """
        return await self._cache.get(cookie, lambda: self._ask(cookie))

    async def _ask(self, cookie: str) -> Answer:
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
        return {**claims, "sub": str(subject)}, self._settings.cache_seconds
