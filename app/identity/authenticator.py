"""The whole of identity in one call: a request's headers in, a Caller out."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from app.identity import jwt
from app.identity.claims import user_of
from app.identity.credentials import bearer_token
from app.identity.models import Caller
from app.settings import IssuerSettings


@dataclass(frozen=True, slots=True)
class Issuer:
    """A configured issuer, ready to verify its tokens."""

    name: str
    settings: IssuerSettings
    verifier: jwt.JwtVerifier


class Authenticator:
    """Establishes who is calling."""

    def __init__(self, issuers: Iterable[Issuer]) -> None:
        self._issuers: Mapping[str, Issuer] = {issuer.settings.issuer: issuer for issuer in issuers}

    async def authenticate(self, headers: Iterable[tuple[bytes, bytes]]) -> Caller:
        """Return the caller that a request's credential proves.

        Args:
            headers: the request's headers as ASGI gives them.

        Raises:
            IdentityError: when there is no such caller, or it cannot be known just now.
        """
        token = jwt.parse(bearer_token(headers))
        issuer = self._issuer_of(token)
        return user_of(issuer.name, issuer.settings, await issuer.verifier.verify(token))

    def _issuer_of(self, token: jwt.UnverifiedToken) -> Issuer:
        # Compared exactly, and only to choose whose keys must verify the token: keys of one
        # issuer never verify a token that names another (RFC 8725 section 3.8).
        name = token.claims.get("iss")
        issuer = self._issuers.get(name) if isinstance(name, str) else None
        if issuer is None:
            raise jwt.invalid("iss is no configured issuer")
        return issuer
