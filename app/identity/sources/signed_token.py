"""Callers with signed tokens, which this service verifies with the issuer's keys."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from ...settings import IdentitySettings, IssuerSettings
from ...settings.identity_source import ConfiguredSource
from ..credentials import Credential
from ..fetch import Fetcher
from ..findings import invalid
from ..issuer_source import IssuerSource
from ..jwks import Jwks, JwksState
from ..jwt import JwtVerifier
from ..models import Caller
from ..token_cache import Proof


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
        self.jwks = Jwks(
            self.label, self.issuer, settings, self.discovery, fetcher, clock=monotonic
        )
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
            for one in by_url(configured):
                yield SignedTokenSource(one, settings, fetcher)


def by_url(
    configured: ConfiguredSource[IssuerSettings],
) -> Iterator[ConfiguredSource[IssuerSettings]]:
    """Yield a source for each issuer URL of an entry; each has its own keys."""
    entries = configured.settings.by_url()
    for entry in entries:
        several = len(entries) > 1
        label = f"{configured.name} {entry.iss}" if several else configured.name
        setting = f"{configured.setting} {entry.iss}" if several else configured.setting
        yield replace(configured, setting=setting, label=label, settings=entry)
