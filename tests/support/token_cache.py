"""An issuer of signed tokens and a token cache, without sockets, on a clock that tests set."""

from typing import Any

from app.errors import IdentityProviderUnavailableError
from app.identity.authenticator import SourcesAtLocation
from app.identity.fetch import Fetcher
from app.identity.models import Caller
from app.identity.public_keys import public_keys
from app.identity.sources.signed_token import SignedTokenSource
from app.identity.token_cache import VerifiedTokenCache
from app.settings import IdentitySettings, IssuerSettings
from emulators.issuer import DevelopmentIssuer
from tests.support.in_process import configured_issuer, credential

HOUR = 3600
ISSUED = 1_800_000_000
"""The initial time of the clock, and the time at which tokens are issued by default."""


class KeyServer(Fetcher):
    """Serves the issuer's keys.

    Attributes:
        first: keys that are published before the issuer's own.
        down: whether every request fails.
    """

    def __init__(self, issuer: DevelopmentIssuer) -> None:
        """Store the issuer whose keys are served."""
        self._issuer = issuer
        self.first: list[dict[str, Any]] = []
        self.down = False

    async def get_json(self, _: str) -> Any:
        """Return the JWK Set that is published at this moment."""
        if self.down:
            raise IdentityProviderUnavailableError("down", reason="down")
        return self.published()

    def published(self) -> dict[str, Any]:
        """Return the JWK Set that is published at this moment."""
        return {"keys": [*self.first, *self._issuer.keys.published()]}


class CachingService:
    """The part of the service that verifies and caches the tokens of one issuer.

    Attributes:
        issuer: signs tokens.
        key_server: serves its keys.
        now: the time on the clock, in seconds since 1970.
        jwks: its keys as the service knows them.
        cache: the token cache.
    """

    def __init__(
        self, max_tokens: int = 100, issuer: DevelopmentIssuer | None = None, **issuer_settings: Any
    ) -> None:
        self.issuer = issuer or DevelopmentIssuer()
        settings = IssuerSettings(
            issuer=self.issuer.issuer,
            audience="vault-bff",
            jwks_uri=f"{self.issuer.issuer}/jwks",
            **issuer_settings,
        )
        self.now = float(ISSUED)
        self.key_server = KeyServer(self.issuer)
        source = SignedTokenSource(
            configured_issuer(settings),
            IdentitySettings(issuers={"main": settings}),
            self.key_server,
            clock=self.clock,
            monotonic=self.clock,
        )
        self.jwks = source.jwks
        self.fetch_keys()
        self.cache = VerifiedTokenCache(max_tokens, self.clock)
        self._sources = SourcesAtLocation([source], self.cache)

    def clock(self) -> float:
        """Return the time on the clock."""
        return self.now

    def token(self, sub: str = "ada", expires_in: int = HOUR) -> str:
        """Return a valid token."""
        return self.issuer.token(sub=sub, iat=ISSUED, exp=ISSUED + expires_in)

    def fetch_keys(self) -> None:
        """Make the service fetch the keys that are published at this moment."""
        keys, left_out = public_keys(self.key_server.published())
        self.jwks._replace(keys, left_out)

    async def caller(self, token: str) -> Caller:
        """Return the caller that a token identifies."""
        return await self._sources.caller(credential(token))
