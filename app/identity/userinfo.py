"""Asking an issuer about a person: OpenID Connect Core section 5.3, the UserInfo endpoint."""

import time
from collections.abc import Callable

import structlog

from app.errors import IdentityProviderUnavailableError
from app.identity.cache import Answer, ClaimsCache
from app.identity.discovery import Discovery
from app.identity.fetch import Fetcher
from app.identity.models import Claims
from app.settings import IssuerSettings

CACHE_SECONDS = 300
REST_SECONDS = 30
"""Seconds without another try after a failure, so that an endpoint which is down slows nobody."""

logger = structlog.get_logger(__name__)


class UserInfo:
    """Asks one issuer what its tokens do not say; what cannot be had is done without."""

    def __init__(
        self,
        name: str,
        issuer: IssuerSettings,
        discovery: Discovery,
        fetcher: Fetcher,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._name = name
        self._issuer = issuer
        self._discovery = discovery
        self._fetcher = fetcher
        self._clock = clock
        self._cache = ClaimsCache(clock)
        self._rests_until = 0.0

    async def about(self, token: str, claims: Claims) -> Claims:
        """Return what the issuer says about the subject of a verified token; nothing if it fails.

        Args:
            token: the verified access token, which is what the endpoint asks for.
            claims: what the token itself says.
        """
        if self._clock() < self._rests_until:
            return {}
        try:
            return await self._cache.get(token, lambda: self._ask(token, claims))
        except IdentityProviderUnavailableError as error:
            self._rests_until = self._clock() + REST_SECONDS
            logger.warning("userinfo_unavailable", issuer=self._name, reason=error.reason)
            return {}

    async def _ask(self, token: str, claims: Claims) -> Answer:
        url = await self._discovery.endpoint("userinfo_endpoint", self._issuer.userinfo_endpoint)
        answer = await self._fetcher.get_json(url, {"authorization": f"Bearer {token}"})
        lasts = min(CACHE_SECONDS, claims["exp"] - self._clock())
        # Section 5.3.2: an answer about another subject must not be used.
        if not isinstance(answer, dict) or answer.get("sub") != claims["sub"]:
            logger.warning("userinfo_of_another_subject", issuer=self._name)
            return {}, lasts
        return answer, lasts
