"""Requests to an issuer's UserInfo endpoint (OpenID Connect Core section 5.3)."""

import math
import time
from collections.abc import Callable

import structlog

from ..errors import IdentityProviderUnavailableError, UnauthenticatedError
from ..settings import IssuerSettings
from .cache import CachedClaims, ClaimsCache
from .discovery import Discovery
from .fetch import Fetcher
from .findings import invalid
from .models import Claims

CACHE_SECONDS = 300
RETRY_SECONDS = 30
"""Seconds without another request after a failure: for every token if the endpoint fails, else for
the token in question."""

logger = structlog.get_logger(__name__)


class UserInfo:
    """Reads display data that one issuer's tokens lack. Without a usable response there is none."""

    def __init__(  # noqa: PLR0913 - what sends requests, and two clocks
        self,
        name: str,
        issuer: IssuerSettings,
        discovery: Discovery,
        fetcher: Fetcher,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._issuer = issuer
        self._discovery = discovery
        self._fetcher = fetcher
        self._clock = clock
        self._monotonic = monotonic
        self._cache = ClaimsCache(monotonic)
        self._failing_until = -math.inf

    async def about(self, token: str, claims: Claims) -> Claims:
        """Return the UserInfo claims about the subject of a verified token; none on failure.

        Args:
            token: the verified access token, which the endpoint requires.
            claims: the claims of the token.
        """
        if self._monotonic() < self._failing_until:
            return {}
        try:
            return await self._cache.get(token, lambda: self._fetch(token, claims))
        except IdentityProviderUnavailableError as error:
            self._failing_until = self._monotonic() + RETRY_SECONDS
            self._log(error)
            return {}

    async def request(self, token: str, subject: str) -> Claims:
        """Return the UserInfo claims about the subject of a token; send a request each time.

        Raises:
            UnauthenticatedError: the response is about another subject.
            IdentityProviderUnavailableError: there is no usable response.
        """
        return await self._request(await self._endpoint(), token, subject)

    async def _fetch(self, token: str, claims: Claims) -> CachedClaims:
        url = await self._endpoint()
        seconds_left = claims.get("exp", math.inf) - self._clock()
        try:
            about = await self._request(url, token, claims["sub"])
        except UnauthenticatedError:
            logger.warning("userinfo_of_another_subject", issuer=self._name)
            return CachedClaims({}, min(CACHE_SECONDS, seconds_left))
        except IdentityProviderUnavailableError as error:
            if error.endpoint_failing:
                raise
            # About this token only: it may lack the scope `openid`, and others may not.
            self._log(error)
            return CachedClaims({}, min(RETRY_SECONDS, seconds_left))
        return CachedClaims(about, min(CACHE_SECONDS, seconds_left))

    async def _endpoint(self) -> str:
        configured = self._issuer.userinfo_endpoint
        return await self._discovery.endpoint("userinfo_endpoint", configured)

    async def _request(self, url: str, token: str, subject: str) -> Claims:
        response = await self._fetcher.get(url, {"authorization": f"Bearer {token}"})
        about = response.json()
        # Section 5.3.2: a response about another subject must not be used.
        if not isinstance(about, dict) or about.get("sub") != subject:
            raise invalid(f"{url}: responded about another subject")
        return about

    def _log(self, error: IdentityProviderUnavailableError) -> None:
        logger.warning("userinfo_unavailable", issuer=self._name, reason=error.reason)
