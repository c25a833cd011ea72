"""One issuer whose tokens are remembered, without sockets and on a clock that is set."""

from typing import Any

from app.errors import IdentityProviderUnavailableError
from app.identity import jwt
from app.identity.discovery import Discovery
from app.identity.fetch import Fetcher
from app.identity.jwks import Jwks
from app.identity.models import Caller
from app.identity.public_keys import public_keys
from app.identity.sources import Issuer, TokenSource
from app.identity.token_cache import VerifiedTokenCache
from app.identity.token_rules import TokenRules
from app.settings import IdentitySettings, IssuerSettings
from emulators.issuer import DevelopmentIssuer

HOUR = 3600
ISSUED = 1_800_000_000
"""When tokens of this world are issued unless they say otherwise, and the clock begins."""


class Network(Fetcher):
    """Where the issuer's keys are had, unless it is down."""

    def __init__(self, issuer: DevelopmentIssuer) -> None:
        """Take whose keys."""
        self._issuer = issuer
        self.first: list[dict[str, Any]] = []
        self.down = False

    async def get_json(self, url: str, headers: dict[str, str] | None = None) -> Any:  # noqa: ARG002
        """Answer with the keys that are published now."""
        if self.down:
            raise IdentityProviderUnavailableError("down", reason="down")
        return self.published()

    def published(self) -> dict[str, Any]:
        """Return the issuer's keys, behind those that it publishes first."""
        return {"keys": [*self.first, *self._issuer.keys.published()]}


class World:
    """One place for tokens, one issuer, and a clock for everything."""

    def __init__(
        self, most: int = 100, issuer: DevelopmentIssuer | None = None, **issuer_settings: Any
    ) -> None:
        self.issuer = issuer or DevelopmentIssuer()
        settings = IssuerSettings(
            issuer=self.issuer.issuer,
            audience="vault-bff",
            jwks_uri=f"{self.issuer.issuer}/jwks",
            **issuer_settings,
        )
        self.now = float(ISSUED)
        identity = IdentitySettings(issuers={"main": settings})
        self.network = Network(self.issuer)
        discovery = Discovery(settings, self.network)
        self.jwks = Jwks("main", settings, identity, discovery, self.network, clock=self.clock)
        self.publish()
        rules = TokenRules(settings, self.clock)
        verifier = jwt.JwtVerifier(settings, self.jwks, rules)
        ready = Issuer("main", settings, rules, self.jwks, verifier, None, None)
        self.remembered = VerifiedTokenCache(most, self.clock)
        self.source = TokenSource([ready], self.remembered)

    def clock(self) -> float:
        """Return the seconds on the clock."""
        return self.now

    def token(self, sub: str = "ada", expires_in: int = HOUR) -> str:
        """Return a good token."""
        return self.issuer.token(sub=sub, iat=ISSUED, exp=ISSUED + expires_in)

    def publish(self) -> None:
        """Have the service fetch the keys that the issuer publishes now."""
        keys, left_out = public_keys(self.network.published())
        self.jwks._replace(keys, left_out)

    async def caller(self, token: str) -> Caller:
        """Return whom a token proves."""
        return await self.source.caller(token)
