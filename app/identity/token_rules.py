"""The rules for a token's claims, however the token was verified (RFC 7519, 8725, 9068)."""

import time
from collections.abc import Callable
from typing import Any

from app.errors import InsufficientScopeError, UnauthenticatedError
from app.identity.claim_paths import ABSENT, claim
from app.identity.models import Claims
from app.settings import IssuerSettings
from app.settings.claims import listed

_ID_TOKEN_CLAIMS = ("nonce", "at_hash", "c_hash", "s_hash")


def invalid(reason: str) -> UnauthenticatedError:
    """Return the error for an invalid token; the caller does not learn the reason."""
    return UnauthenticatedError("The access token is not valid.", reason=reason)


class TokenRules:
    """The rules of one issuer."""

    def __init__(self, issuer: IssuerSettings, clock: Callable[[], float] = time.time) -> None:
        self._issuer = issuer
        self._audience = frozenset(listed(issuer.audience))
        self._clock = clock
        # An introspection response does not contain the header.
        self._typ_is_checked = issuer.token_type == "at+jwt" and issuer.introspection is None  # noqa: S105 - a media type

    def check(self, claims: Claims) -> None:
        """Check that claims are of this issuer, for this service, and current.

        Raises:
            UnauthenticatedError: the claims break a rule.
            InsufficientScopeError: the required scope or role is missing.
        """
        if claims.get("iss") != self._issuer.issuer:
            raise invalid("iss is another issuer")
        subject = claims.get("sub")
        if not isinstance(subject, str) or not subject:
            raise invalid("sub is missing or not a string")
        if not self._is_our_audience(claim(claims, self._issuer.audience_claim)):
            raise invalid(f"{self._issuer.audience_claim} does not name this service")
        self._check_times(claims)
        self._check_token_kind(claims)
        self._check_configured_claims(claims)
        self._check_delegation(claims)
        self._check_rights(claims)

    def valid_until(self, claims: Claims) -> float:
        """Return when valid claims expire, without leeway, in seconds since 1970."""
        expires: float = claims["exp"]
        max_age = self._issuer.max_token_age_seconds
        return expires if max_age is None else min(expires, claims["iat"] + max_age)

    def is_for(self, claims: Claims) -> bool:
        """Return whether claims, verified or not, name this issuer and one of its audiences."""
        audience = claim(claims, self._issuer.audience_claim)
        return claims.get("iss") == self._issuer.issuer and self._is_our_audience(audience)

    def _is_our_audience(self, audience: Any) -> bool:
        audiences = audience if isinstance(audience, list) else [audience]
        strings = [one for one in audiences if isinstance(one, str)]
        return len(strings) == len(audiences) and not self._audience.isdisjoint(strings)

    def _check_times(self, claims: Claims) -> None:
        now, leeway = self._clock(), self._issuer.leeway_seconds
        expires = _numeric_date(claims, "exp")
        not_before, issued = _numeric_date(claims, "nbf"), _numeric_date(claims, "iat")
        if expires is None:
            raise invalid("exp is missing")
        if now >= expires + leeway:
            raise invalid("the token has expired")
        if not_before is not None and now < not_before - leeway:
            raise invalid("the token is not valid yet")
        if issued is not None and now < issued - leeway:
            raise invalid("the token was issued in the future")
        max_age = self._issuer.max_token_age_seconds
        if max_age is not None and (issued is None or now > issued + max_age + leeway):
            raise invalid("the token is older than max_token_age_seconds")

    def _check_token_kind(self, claims: Claims) -> None:
        """Reject a token whose claims show that it is not an access token.

        The attack: where an issuer gives ID tokens and access tokens the same audience, every
        application that people sign in to has ID tokens, and could open connections with them.
        The header `typ` distinguishes them unless `token_type` is `any`; an introspection response
        contains no header. Keycloak marks access tokens as `Bearer` in the payload, and older
        releases add `nonce` to them. An ID token without these claims is not detected.

        Source: OpenID Connect Core sections 2 and 3.3.2.11; RFC 8417 section 2.2.
        """
        if self._typ_is_checked or claims.get("typ") == "Bearer":
            return
        for name in _ID_TOKEN_CLAIMS:
            if name in claims:
                raise invalid(f"an ID token: it has the claim {name}")
        if claims.get("typ") == "ID" or claims.get("token_use") == "id":
            raise invalid("an ID token, according to typ or token_use")
        if "events" in claims:
            raise invalid("a security event or logout token: it has the claim events")

    def _check_configured_claims(self, claims: Claims) -> None:
        for path in self._issuer.forbidden_claims:
            if claim(claims, path, ABSENT) is not ABSENT:
                raise invalid(f"the token has the claim {path}, which is in forbidden_claims")
        for path, expected in self._issuer.required_claims.items():
            value = claim(claims, path)
            # True equals 1 in Python, but not in JSON.
            if type(value) is not type(expected) or value != expected:
                raise invalid(f"the claim {path} differs from its value in required_claims")

    def _check_delegation(self, claims: Claims) -> None:
        if "act" not in claims:
            return
        if not self._issuer.identifies_users:
            # Whose grant would count, the subject's or the actor's? Neither is safe to assume.
            raise invalid("a delegated token (act) of an issuer of services")
        actor = claims["act"]
        if not isinstance(actor, dict) or not isinstance(actor.get("sub"), str):
            raise invalid("act names no actor")

    def _check_rights(self, claims: Claims) -> None:
        scope, role = self._issuer.required_scope, self._issuer.required_role
        if scope is not None and scope not in _scopes(claims):
            raise _insufficient(claims, f"scope {scope}")
        if role is not None and role not in _roles(claim(claims, self._issuer.role_claim)):
            raise _insufficient(claims, f"role {role}")


def _insufficient(claims: Claims, missing: str) -> InsufficientScopeError:
    detail = f"The access token lacks the {missing}."
    error = InsufficientScopeError(detail, reason=f"missing {missing}")
    error.subject = claims["sub"]
    return error


def _scopes(claims: Claims) -> list[Any]:
    """Return the scopes of a token: a space-separated string (RFC 8693 section 4.2) or a list."""
    value = claims.get("scope", claims.get("scp"))
    return value.split(" ") if isinstance(value, str) else _list(value)


def _roles(value: Any) -> list[Any]:
    """Return the roles in a claim: a string is one role, because role names contain spaces."""
    return [value] if isinstance(value, str) else _list(value)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _numeric_date(claims: Claims, name: str) -> float | None:
    if name not in claims:
        return None
    value = claims[name]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise invalid(f"{name} is not a number")
    return value
