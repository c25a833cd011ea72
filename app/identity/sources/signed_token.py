"""Callers with signed tokens, which this service verifies with the issuer's keys."""

import time
from collections.abc import Callable, Iterator

from app.identity.credentials import Credential
from app.identity.fetch import Fetcher
from app.identity.issuer_source import IssuerSource
from app.identity.jwks import Jwks, JwksState
from app.identity.jwt import JwtVerifier
from app.identity.models import Caller
from app.identity.token_cache import Proof
from app.identity.token_rules import invalid
from app.settings import IdentitySettings, IssuerSettings
from app.settings.identity_source import ConfiguredSource


class SignedTokenSource(IssuerSource):
    """One issuer of signed tokens."""

    def __init__(
        self,
        configured: ConfiguredSource[IssuerSettings],
        settings: IdentitySettings,
        fetcher: Fetcher,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(configured, fetcher, clock)
        self.jwks = Jwks(self.name, self.issuer, settings, self.discovery, fetcher, clock=monotonic)
        self.refresh = self.jwks.refresh_if_due
        self._verifier = JwtVerifier(self.issuer, self.jwks, self.rules)

    async def caller(self, credential: Credential) -> Caller:
        """Return the caller that a signed token proves."""
        token = credential.signed_token()
        if token is None:
            raise invalid("not a signed token in compact form")
        return await self._caller_of(token.text, await self._verifier.verify(token))

    def proof(self, credential: Credential) -> Proof | None:
        """Return the key that verified a token; None if UserInfo contributed to the caller."""
        token = credential.signed_token()
        if token is None or self.userinfo is not None:
            return None
        kid, algorithm = token.header.get("kid"), token.header["alg"]
        key = self.jwks.cached_key(kid, algorithm)
        if key is None:
            return None
        return Proof(self.jwks, kid, algorithm, key, self.rules.valid_until(token.claims))

    def key_state(self) -> JwksState:
        """Return the state of the issuer's keys."""
        return self.jwks.state()

    async def probe(self) -> str:
        """Fetch the issuer's keys; return how many there are."""
        await self.jwks.refresh_if_due()
        self.jwks.raise_unless_usable()
        return f"{self.jwks.state().keys} keys"


def build(settings: IdentitySettings, fetcher: Fetcher) -> Iterator[SignedTokenSource]:
    """Yield a source for each issuer without introspection."""
    for configured in settings.sources_of(IssuerSettings):
        if configured.settings.introspection is None:
            yield SignedTokenSource(configured, settings, fetcher)
