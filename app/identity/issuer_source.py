"""What sources of signed and of introspected tokens have in common: an issuer."""

import time
from collections.abc import Callable

from ..settings import IssuerSettings
from ..settings.identity_source import ConfiguredSource
from .claims import lacks_display_data, service_of, user_of
from .credentials import Credential
from .discovery import Discovery
from .fetch import Fetcher
from .models import Caller, Claims
from .source import Source
from .token_rules import TokenRules
from .userinfo import UserInfo


class IssuerSource(Source):
    """A source whose credentials are tokens of one issuer."""

    def __init__(
        self,
        configured: ConfiguredSource[IssuerSettings],
        fetcher: Fetcher,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(configured)
        issuer = configured.settings
        self.issuer = issuer
        self.rules: TokenRules = TokenRules(issuer, clock)
        self.discovery = Discovery(issuer, fetcher)
        self.userinfo = (
            UserInfo(self.name, issuer, self.discovery, fetcher, clock=clock)
            if issuer.userinfo
            else None
        )

    def recognizes(self, credential: Credential) -> bool:
        """Return whether a signed token names this issuer and one of its audiences.

        The unverified claims only select the rules and keys that the token must satisfy. Keys of
        one issuer never verify a token that names another issuer (RFC 8725 section 3.8).
        """
        token = credential.signed_token
        return token is not None and self.rules.is_for(token.claims)

    async def _caller_of(self, token: str, claims: Claims) -> Caller:
        """Return the caller that verified claims describe.

        Args:
            token: the token, which UserInfo requires.
            claims: its claims, verified.
        """
        if not self.issuer.identifies_users:
            return service_of(self.name, self.issuer, claims)
        more: Claims = {}
        if self.userinfo is not None and lacks_display_data(self.issuer, claims):
            more = await self.userinfo.about(token, claims)
        return user_of(self._name_for(claims), self.issuer, claims, more, self.reserved_prefixes)

    def _name_for(self, claims: Claims) -> str:
        """Return the name of the source, and the tenant: two tenants may have equal subjects."""
        template = self.issuer.template
        return self.name if template is None else f"{self.name}/{template.tenant_in(claims['iss'])}"
