"""Callers with tokens that their issuer checks (RFC 7662, OAuth 2.0 Token Introspection)."""

import time
from collections.abc import Callable, Iterator

import httpx

from app.identity.cache import CachedClaims, ClaimsCache
from app.identity.credentials import Credential
from app.identity.fetch import Fetcher, Response
from app.identity.issuer_source import IssuerSource
from app.identity.models import Caller, Claims
from app.identity.source import probe_with_made_up_credential
from app.identity.token_rules import invalid
from app.settings import IdentitySettings, IntrospectionSettings, IssuerSettings
from app.settings.identity_source import ConfiguredSource


class IntrospectionSource(IssuerSource):
    """One issuer with an introspection endpoint."""

    def __init__(
        self,
        configured: ConfiguredSource[IssuerSettings],
        settings: IntrospectionSettings,
        fetcher: Fetcher,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(configured, fetcher, clock)
        self.setting = f"{self.setting}__INTROSPECTION"
        self._settings = settings
        self._fetcher = fetcher
        self._clock = clock
        self._cache = ClaimsCache(clock)

    def recognizes(self, credential: Credential) -> bool:
        """Return whether a token is opaque, or names this issuer and one of its audiences."""
        return credential.signed_token() is None or super().recognizes(credential)

    async def caller(self, credential: Credential) -> Caller:
        """Return the caller that a token proves according to its issuer."""
        return await self._caller_of(credential.value, await self.verify(credential.value))

    async def verify(self, token: str) -> Claims:
        """Return the claims in the introspection response for an active token.

        Raises:
            UnauthenticatedError: the token is not active, or its claims break a rule.
            IdentityProviderUnavailableError: the issuer gives no usable response.
        """
        claims = await self._cache.get(token, lambda: self._introspect(token))
        # Checked at every use: a token can expire while the response is cached.
        self.rules.check(claims)
        return claims

    async def probe(self) -> str:
        """Introspect a made-up token."""
        return await probe_with_made_up_credential(self.verify)

    async def _introspect(self, token: str) -> CachedClaims:
        url = await self.discovery.endpoint("introspection_endpoint", self._settings.endpoint)
        claims = (await self._post(url, token)).json()
        # Section 2.2: only the JSON value true, not "true" and not 1.
        if not isinstance(claims, dict) or claims.get("active") is not True:
            raise invalid("the issuer says that the token is not active")
        self.rules.check(claims)
        seconds = min(self._settings.cache_seconds, claims["exp"] - self._clock())
        return CachedClaims(claims, seconds)

    async def _post(self, url: str, token: str) -> Response:
        form = {"token": token, "token_type_hint": "access_token"}
        client_id = self._settings.client_id
        client_secret = self._settings.secret.get_secret_value()
        if self._settings.authentication == "client_secret_post":
            form |= {"client_id": client_id, "client_secret": client_secret}
            return await self._fetcher.post_form(url, form)
        return await self._fetcher.post_form(url, form, httpx.BasicAuth(client_id, client_secret))


def build(settings: IdentitySettings, fetcher: Fetcher) -> Iterator[IntrospectionSource]:
    """Yield a source for each issuer with introspection."""
    for configured in settings.sources_of(IssuerSettings):
        if configured.settings.introspection is not None:
            yield IntrospectionSource(configured, configured.settings.introspection, fetcher)
