"""Callers with signed tokens, which this service verifies with the issuer's keys."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from ...settings import IdentitySettings, IssuerSettings
from ...settings.identity_source import ConfiguredSource
from ..credentials import Credential
from ..fetch import Fetcher
from ..findings import invalid
from ..header_rules import header_rules
from ..issuer_source import IssuerSource
from ..jwks import Jwks, JwksState
from ..jwt import signature_algorithms, verify_signature
from ..models import Caller, Claims
from ..token_cache import Proof
from ..unverified_token import UnverifiedToken


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
        self._header_rules = header_rules(self.issuer)
        self._algorithms = signature_algorithms(self.issuer.algorithms)

    async def caller(self, credential: Credential) -> Caller:
        """Return the caller that a signed token proves."""
        token = credential.signed_token
        if token is None:
            raise invalid("not a signed token in compact form")
        return await self._caller_of(token.text, await self.verify(token))

    async def verify(self, token: UnverifiedToken) -> Claims:
        """Return the claims of a token after verifying its header, signature and claims.

        Raises:
            IdentityError: the token is not valid, or the issuer's keys are unavailable.
        """
        for rule in self._header_rules:
            rule.enforce(token.header)
        algorithm = token.header["alg"]
        key = await self.jwks.key(token.header.get("kid"), algorithm)
        verify_signature(token, key, self.issuer, self._algorithms[algorithm])
        self.rules.check(token.claims)
        return token.claims

    def proof(self, credential: Credential) -> Proof | None:
        """Return the key that verified a token; None if UserInfo contributed to the caller."""
        token = credential.signed_token
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
        url = f" {entry.iss}" if len(entries) > 1 else ""
        setting, label = configured.setting + url, configured.name + url
        yield replace(configured, setting=setting, label=label, settings=entry)
