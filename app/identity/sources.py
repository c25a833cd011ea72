"""What a credential of each kind proves: a token by its issuer, a cookie by its application."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from app.errors import InsufficientScopeError
from app.identity import jwt
from app.identity.claims import lacks_display_data, service_of, user_of
from app.identity.introspection import Introspector
from app.identity.jwks import Jwks
from app.identity.models import Caller, Claims
from app.identity.token_cache import Proof, VerifiedTokenCache
from app.identity.token_rules import TokenRules, invalid
from app.identity.userinfo import UserInfo
from app.identity.whoami import WhoAmI
from app.settings import CookieSessionSettings, IssuerSettings


class Source(Protocol):
    """Somebody who knows what the credentials at one place prove."""

    async def caller(self, value: str) -> Caller:
        """Return the caller that a credential proves.

        Raises:
            IdentityError: when it proves none, or that cannot be known just now.
        """
        ...


@dataclass(frozen=True, slots=True)
class Issuer:
    """A configured issuer, ready to judge its tokens."""

    name: str
    settings: IssuerSettings
    rules: TokenRules
    jwks: Jwks
    verifier: jwt.JwtVerifier
    introspector: Introspector | None
    userinfo: UserInfo | None

    async def caller(self, text: str, token: jwt.UnverifiedToken | None) -> Caller:
        """Return the caller that a token of this issuer proves.

        Raises:
            IdentityError: when it proves none, or that cannot be known just now.
        """
        try:
            claims = await self._claims(text, token)
        except InsufficientScopeError as error:
            error.issuer = self.name
            raise
        if self.settings.kind == "services":
            return service_of(self.name, self.settings, claims)
        more: Claims = {}
        if self.userinfo is not None and lacks_display_data(self.settings, claims):
            more = await self.userinfo.about(text, claims)
        return user_of(self.name, self.settings, claims, more)

    def proof(self, token: jwt.UnverifiedToken) -> Proof | None:
        """Return what the worth of a token depends on that proved a caller in this very moment.

        None where an answer of the issuer's is part of it: that is remembered for as long as it
        says itself, and where it was got.
        """
        if self.introspector is not None or self.userinfo is not None:
            return None
        kid, algorithm = token.header.get("kid"), token.header["alg"]
        key = self.jwks.at_hand(kid, algorithm)
        if key is None:
            return None
        return Proof(self.jwks, kid, algorithm, key, self.rules.until(token.claims))

    async def _claims(self, text: str, token: jwt.UnverifiedToken | None) -> Claims:
        if self.introspector is not None:
            return await self.introspector.verify(text)
        if token is None:
            raise invalid("not a signed token in compact form")
        return await self.verifier.verify(token)


class TokenSource:
    """Tokens at one place, of whichever of its issuers they are."""

    def __init__(self, issuers: Iterable[Issuer], remembered: VerifiedTokenCache) -> None:
        """Take whose tokens they may be, and what remembers callers of this place alone."""
        self._issuers = tuple(issuers)
        self._remembered = remembered
        self._introspecting = next((one for one in self._issuers if one.introspector), None)

    async def caller(self, value: str) -> Caller:
        """Return the caller that a token proves."""
        known = self._remembered.get(value)
        if known is not None:
            return known
        token = jwt.parse(value)
        issuer = self._issuer_of(token)
        caller = await issuer.caller(value, token)
        if token is not None and (proof := issuer.proof(token)) is not None:
            self._remembered.keep(value, caller, proof)
        return caller

    def _issuer_of(self, token: jwt.UnverifiedToken | None) -> Issuer:
        # What the token says of itself only chooses whose rules and keys must hold for it. Keys of
        # one issuer never verify a token that names another (RFC 8725 section 3.8).
        if token is not None:
            for issuer in self._issuers:
                if issuer.rules.is_for(token.claims):
                    return issuer
        elif self._introspecting is not None:
            return self._introspecting
        raise invalid("iss and aud are those of no configured issuer")


class CookieSessionSource:
    """The session cookie of one application."""

    def __init__(self, name: str, settings: CookieSessionSettings, whoami: WhoAmI) -> None:
        self._name = name
        self._settings = settings
        self._whoami = whoami

    async def caller(self, value: str) -> Caller:
        """Return the person who is signed in with a cookie."""
        return user_of(self._name, self._settings, await self._whoami.verify(value), {})
