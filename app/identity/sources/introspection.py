"""Callers with tokens that their issuer checks (RFC 7662, OAuth 2.0 Token Introspection)."""

import math
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote_plus

import httpx

from ...settings import IdentitySettings, IntrospectionSettings, IssuerSettings
from ...settings.identity_source import ConfiguredSource
from ..cache import CachedClaims, ClaimsCache
from ..claim_paths import claim
from ..credentials import Credential
from ..fetch import Fetcher, Response
from ..findings import invalid
from ..issuer_source import IssuerSource
from ..models import Caller, Claims
from ..source import probe_with_made_up_credential


class IntrospectionSource(IssuerSource):
    """One issuer with an introspection endpoint."""

    def __init__(
        self,
        configured: ConfiguredSource[IssuerSettings],
        settings: IntrospectionSettings,
        fetcher: Fetcher,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(configured, fetcher, clock)
        self.setting = f"{self.setting}__INTROSPECTION"
        self._settings = settings
        self._fetcher = fetcher
        self._clock = clock
        self._cache = ClaimsCache(monotonic)

    def recognizes(self, credential: Credential) -> bool:
        """Return whether a token is opaque, or names this issuer and one of its audiences."""
        return credential.signed_token is None or super().recognizes(credential)

    async def caller(self, credential: Credential) -> Caller:
        """Return the caller that a token proves according to its issuer."""
        return await self._caller_of(credential.value, await self.verify(credential.value))

    async def verify(self, token: str) -> Claims:
        """Return the claims in the introspection response for an active token.

        Raises:
            UnauthenticatedError: the token is not active, or its claims break a rule.
            IdentityProviderUnavailableError: the issuer gives no usable response.
        """
        claims = await self._cache.get(token, lambda: self._fetch(token))
        # Checked at every use: a token can expire while the response is cached.
        self.rules.check(claims)
        return claims

    async def probe(self) -> str:
        """Introspect a made-up token."""
        return await probe_with_made_up_credential(self.verify)

    async def introspect(self, token: str) -> dict[str, Any]:
        """Return the claims in the introspection response for an active token, unchecked.

        Raises:
            UnauthenticatedError: the token is not active, or the response has no subject.
            IdentityProviderUnavailableError: the issuer gives no usable response.
        """
        url = await self.discovery.endpoint("introspection_endpoint", self._settings.endpoint)
        claims = (await self._post(url, token)).json()
        # Section 2.2: only the JSON value true, not "true" and not 1.
        if not isinstance(claims, dict) or claims.get("active") is not True:
            raise invalid("the issuer says that the token is not active")
        return self._with_subject(claims)

    async def _fetch(self, token: str) -> CachedClaims:
        claims = await self.introspect(token)
        self.rules.check(claims)
        seconds = min(self._settings.cache_seconds, claims.get("exp", math.inf) - self._clock())
        return CachedClaims(claims, seconds)

    def _with_subject(self, claims: dict[str, Any]) -> dict[str, Any]:
        """Return the claims with the subject in `sub`.

        The attack: a person signs in with the client of a service, or chooses a user name that is
        the id of such a client. The issuer names the client in the person's token, too, so the
        person would get the grant of the service. Section 2.2: `sub` and `username` describe the
        person who authorized the token; a token of a client alone has neither.
        """
        path = self._settings.subject_claim
        if path == "sub":
            return claims
        if not self.issuer.identifies_users:
            for name in ("sub", "username"):
                if claims.get(name) is not None:
                    raise invalid(f"the token is that of a person: the response has {name}")
        subject = claim(claims, path)
        if not isinstance(subject, str) or not subject:
            raise invalid(f"the subject_claim {path} is missing or not a string")
        return {**claims, "sub": subject}

    async def _post(self, url: str, token: str) -> Response:
        form = {"token": token, "token_type_hint": "access_token"}
        client_id = self._settings.client_id
        client_secret = self._settings.secret.get_secret_value()
        if self._settings.authentication == "client_secret_post":
            form |= {"client_id": client_id, "client_secret": client_secret}
            return await self._fetcher.post_form(url, form)
        return await self._fetcher.post_form(
            url, form, client_secret_basic(client_id, client_secret)
        )


def client_secret_basic(client_id: str, client_secret: str) -> httpx.BasicAuth:
    """Return the client authentication `client_secret_basic`.

    Both are form-encoded first, so that a client id may contain a colon, and a server that decodes
    them reads `+` and `%` as they are.

    Source: RFC 6749 section 2.3.1 and appendix B.
    """
    return httpx.BasicAuth(quote_plus(client_id), quote_plus(client_secret))


def build(settings: IdentitySettings, fetcher: Fetcher) -> Iterator[IntrospectionSource]:
    """Yield a source for each issuer with introspection."""
    for configured in settings.sources_of(IssuerSettings):
        if configured.settings.introspection is not None:
            yield IntrospectionSource(configured, configured.settings.introspection, fetcher)
