"""What is asked of a token's claims, however the token was verified (RFC 7519, 8725, 9068)."""

import time
from collections.abc import Callable
from typing import Any

from app.errors import InsufficientScopeError, UnauthenticatedError
from app.identity.claim_paths import ABSENT, claim
from app.identity.models import Claims
from app.settings import IssuerSettings
from app.settings.claims import listed

_ID_TOKEN_CLAIMS = ("nonce", "at_hash", "c_hash", "s_hash")
_SECURITY_EVENT_CLAIM = "events"


def invalid(reason: str) -> UnauthenticatedError:
    """Return the one answer that every bad token gets; only the operator learns why."""
    return UnauthenticatedError("The access token is not valid.", reason=reason)


class TokenRules:
    """The rules of one issuer."""

    def __init__(self, issuer: IssuerSettings, clock: Callable[[], float] = time.time) -> None:
        self._issuer = issuer
        self._audience = frozenset(listed(issuer.audience))
        self._clock = clock
        # An introspection response says nothing of the header.
        self._typ_is_checked = issuer.token_type == "at+jwt" and issuer.introspection is None  # noqa: S105 - a media type

    def check(self, claims: Claims) -> None:
        """Make sure that the claims are this issuer's, meant for this service, and current.

        Raises:
            UnauthenticatedError: when they are not.
            InsufficientScopeError: when they lack the scope or role that is required.
        """
        if claims.get("iss") != self._issuer.issuer:
            raise invalid("iss is another issuer's")
        subject = claims.get("sub")
        if not isinstance(subject, str) or not subject:
            raise invalid("sub is missing or not a string")
        self._check_audience(claim(claims, self._issuer.audience_claim))
        self._check_times(claims)
        self._check_token_kind(claims)
        self._check_configured_claims(claims)
        self._check_delegation(claims)
        self._check_rights(claims)

    def until(self, claims: Claims) -> float:
        """Return until when claims that hold now will, without leeway; in seconds since 1970."""
        expires: float = claims["exp"]
        oldest = self._issuer.max_token_age_seconds
        return expires if oldest is None else min(expires, claims["iat"] + oldest)

    def is_for(self, claims: Claims) -> bool:
        """Tell whether claims, verified or not, name this issuer and one of its audiences."""
        audience = claim(claims, self._issuer.audience_claim)
        return claims.get("iss") == self._issuer.issuer and self._names_us(audience)

    def _names_us(self, audience: Any) -> bool:
        audiences = audience if isinstance(audience, list) else [audience]
        strings = [one for one in audiences if isinstance(one, str)]
        return len(strings) == len(audiences) and not self._audience.isdisjoint(strings)

    def _check_audience(self, audience: Any) -> None:
        if not self._names_us(audience):
            raise invalid(f"{self._issuer.audience_claim} does not name this service")

    def _check_times(self, claims: Claims) -> None:
        now, leeway = self._clock(), self._issuer.leeway_seconds
        expires = _numeric_date(claims, "exp")
        not_before, issued = _numeric_date(claims, "nbf"), _numeric_date(claims, "iat")
        if expires is None:
            raise invalid("exp is missing")
        if now >= expires + leeway:
            raise invalid("it has expired")
        if not_before is not None and now < not_before - leeway:
            raise invalid("it is not valid yet")
        if issued is not None and now < issued - leeway:
            raise invalid("it was issued in the future")
        oldest = self._issuer.max_token_age_seconds
        if oldest is not None and (issued is None or now > issued + oldest + leeway):
            raise invalid("it is older than this issuer's tokens may be")

    def _check_token_kind(self, claims: Claims) -> None:
        """Reject a token that its claims show to be no access token.

        The attack: where an issuer gives ID tokens and access tokens the same audience, every
        application that people sign in to holds ID tokens, and could open connections with them.
        The header `typ` tells them apart unless `token_type` is `any`; an introspection response
        has no header. Keycloak calls an access token `Bearer` in its payload, and older releases
        put `nonce` into it. An ID token without these claims is not detected.

        Source: OpenID Connect Core sections 2 and 3.3.2.11; RFC 8417 section 2.2.
        """
        if self._typ_is_checked or claims.get("typ") == "Bearer":
            return
        for name in _ID_TOKEN_CLAIMS:
            if name in claims:
                raise invalid(f"an ID token: it has the claim {name}")
        if claims.get("typ") == "ID" or claims.get("token_use") == "id":
            raise invalid("an ID token: typ or token_use says so")
        if _SECURITY_EVENT_CLAIM in claims:
            raise invalid("a security event or logout token: it has the claim events")

    def _check_configured_claims(self, claims: Claims) -> None:
        for path in self._issuer.forbidden_claims:
            if claim(claims, path, ABSENT) is not ABSENT:
                raise invalid(f"it has the claim {path}, which forbidden_claims excludes")
        for path, expected in self._issuer.required_claims.items():
            value = claim(claims, path)
            # Python calls True equal to 1, and JSON does not.
            if type(value) is not type(expected) or value != expected:
                raise invalid(f"its claim {path} is not what required_claims says")

    def _check_delegation(self, claims: Claims) -> None:
        if "act" not in claims:
            return
        if self._issuer.kind == "services":
            # Whose grant would count, the subject's or the actor's? Neither is safe to guess.
            raise invalid("a delegated token (act) of an issuer of services")
        actor = claims["act"]
        if not isinstance(actor, dict) or not isinstance(actor.get("sub"), str):
            raise invalid("act names no actor")

    def _check_rights(self, claims: Claims) -> None:
        scope, role = self._issuer.required_scope, self._issuer.required_role
        if scope is not None and scope not in _scopes(claims):
            raise InsufficientScopeError(
                f"The access token lacks the scope {scope}.", reason=f"missing scope {scope}"
            )
        if role is not None and role not in _roles(claim(claims, self._issuer.role_claim)):
            raise InsufficientScopeError(
                f"The access token lacks the role {role}.", reason=f"missing role {role}"
            )


def _scopes(claims: Claims) -> list[Any]:
    """Return a token's scopes: a space-separated string (RFC 8693 section 4.2) or a list."""
    value = claims.get("scope", claims.get("scp"))
    return value.split(" ") if isinstance(value, str) else _listed(value)


def _roles(value: Any) -> list[Any]:
    """Return the roles of a claim: one string is one role, because role names contain spaces."""
    return [value] if isinstance(value, str) else _listed(value)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _numeric_date(claims: Claims, name: str) -> float | None:
    if name not in claims:
        return None
    value = claims[name]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise invalid(f"{name} is not a number")
    return value
