"""Asking an issuer about a token: RFC 7662, OAuth 2.0 Token Introspection."""

import time
from collections.abc import Callable

import httpx

from app.identity.cache import Answer, ClaimsCache
from app.identity.discovery import Discovery
from app.identity.fetch import Fetcher, Response
from app.identity.models import Claims
from app.identity.token_rules import TokenRules, invalid
from app.settings import IntrospectionSettings


class Introspector:
    """Asks one issuer about its tokens."""

    def __init__(
        self,
        settings: IntrospectionSettings,
        discovery: Discovery,
        fetcher: Fetcher,
        rules: TokenRules,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._secret = settings.secret.get_secret_value()
        self._discovery = discovery
        self._fetcher = fetcher
        self._rules = rules
        self._clock = clock
        self._cache = ClaimsCache(clock)

    async def verify(self, token: str) -> Claims:
        """Return what the issuer says about a token, if it says that the token is good.

        Raises:
            UnauthenticatedError: when it says that it is not, or says too little.
            IdentityProviderUnavailableError: when it does not answer.
        """
        claims = await self._cache.get(token, lambda: self._ask(token))
        # Checked on every use, remembered or not: a token can expire in between.
        self._rules.check(claims)
        return claims

    async def _ask(self, token: str) -> Answer:
        url = await self._discovery.endpoint("introspection_endpoint", self._settings.endpoint)
        answer = (await self._post(url, token)).json()
        # Section 2.2: only the JSON value true, not "true" and not 1.
        if not isinstance(answer, dict) or answer.get("active") is not True:
            raise invalid("the issuer says that it is not active")
        self._rules.check(answer)
        return answer, min(self._settings.cache_seconds, answer["exp"] - self._clock())

    async def _post(self, url: str, token: str) -> Response:
        form = {"token": token, "token_type_hint": "access_token"}
        client_id = self._settings.client_id
        if self._settings.authentication == "client_secret_post":
            form |= {"client_id": client_id, "client_secret": self._secret}
            return await self._fetcher.post_form(url, form)
        return await self._fetcher.post_form(url, form, httpx.BasicAuth(client_id, self._secret))
