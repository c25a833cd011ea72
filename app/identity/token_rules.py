"""The rules for a token's claims, however the token was verified (RFC 7519, 8725, 9068)."""

import math
import time
from collections.abc import Callable, Iterator
from typing import Any

from ..settings import IssuerSettings
from ..settings.claims import listed
from .claim_paths import ABSENT, claim
from .claim_rules import configured_claim_rules, delegation_rule, rights_rules
from .findings import Finding, Rule, kind_of, listing, value_of
from .models import Claims
from .tenant_rules import tenant_rules
from .time_rules import time_rules
from .token_kinds import kind_rule


class TokenRules:
    """The rules of one issuer.

    Attributes:
        issuer: the `iss` of its tokens.
        rules: each rule for claims, in the order in which they are checked.
        audience_rule: the one about the audience.
    """

    def __init__(self, issuer: IssuerSettings, clock: Callable[[], float] = time.time) -> None:
        self.issuer = issuer.iss
        self._template = issuer.template
        self._issuer = issuer
        self.audience_rule = self._audience_rule()
        self._audience = frozenset(listed(issuer.audience))
        self.rules = (
            self._issuer_rule(),
            *tenant_rules(issuer),
            Rule("sub", _subject_problem, "a string that is not empty", kind_of("sub")),
            self.audience_rule,
            *time_rules(issuer, clock),
            # An introspection response does not contain the header.
            *(() if _typ_is_checked(issuer) else (kind_rule(),)),
            *configured_claim_rules(issuer),
            delegation_rule(issuer),
            *rights_rules(issuer),
        )

    def check(self, claims: Claims) -> None:
        """Check that claims are of this issuer, for this service, and current.

        Raises:
            UnauthenticatedError: the claims break a rule.
            InsufficientScopeError: the required scope or role is missing.
        """
        for rule in self.rules:
            rule.enforce(claims)

    def findings(self, claims: Claims) -> Iterator[Finding]:
        """Yield the result of every check."""
        for rule in self.rules:
            yield rule.examine(claims)

    def valid_until(self, claims: Claims) -> float:
        """Return when valid claims expire, without leeway, in seconds since 1970."""
        expires: float = claims.get("exp", math.inf)
        max_age = self._issuer.max_token_age_seconds
        return expires if max_age is None else min(expires, claims["iat"] + max_age)

    def is_for(self, claims: Claims) -> bool:
        """Return whether claims, verified or not, name this issuer and one of its audiences."""
        return self.is_of_issuer(claims) and self._has_audience(claims)

    def is_of_issuer(self, claims: Claims) -> bool:
        """Return whether claims, verified or not, name this issuer, in whichever tenant."""
        if self._template is not None:
            return self._template.tenant_in(claims.get("iss")) is not None
        return claims.get("iss") == self.issuer

    def _issuer_rule(self) -> Rule:
        expected, introspected = self.issuer, self._issuer.introspection is not None

        def problem(claims: Claims) -> str | None:
            # An introspection response may lack it (RFC 7662 section 2.2).
            if self.is_of_issuer(claims) or (introspected and "iss" not in claims):
                return None
            return "iss is another issuer" + difference(claims.get("iss"), expected)

        return Rule("iss", problem, ascii(expected), value_of("iss"), "ISSUER")

    def _audience_rule(self) -> Rule:
        path = self._issuer.audience_claim

        def problem(claims: Claims) -> str | None:
            return None if self._has_audience(claims) else f"{path} does not name this service"

        expected = listing(listed(self._issuer.audience))
        received = value_of("aud") if path == "aud" else kind_of(path)
        return Rule("audience", problem, expected, received, "AUDIENCE")

    def _has_audience(self, claims: Claims) -> bool:
        audience = claim(claims, self._issuer.audience_claim, ABSENT)
        if audience is ABSENT:
            introspection = self._issuer.introspection
            return introspection is not None and introspection.allow_missing_audience
        audiences = audience if isinstance(audience, list) else [audience]
        strings = [one for one in audiences if isinstance(one, str)]
        return len(strings) == len(audiences) and not self._audience.isdisjoint(strings)


def difference(received: Any, expected: str) -> str:
    """Return how an issuer differs from the expected one, if only in a small way."""
    if not isinstance(received, str):
        return ""
    if received == f"{expected}/":
        return " (iss has a slash too many at its end)"
    if expected == f"{received}/":
        return " (iss lacks the slash at the end of the configured one)"
    if received.lower() == expected.lower():
        return " (they differ only in capital letters)"
    if received.partition("://")[2] == expected.partition("://")[2] != "":
        return " (they differ only in the scheme)"
    return ""


def _typ_is_checked(issuer: IssuerSettings) -> bool:
    return issuer.token_type == "at+jwt" and issuer.introspection is None  # noqa: S105 - a media type


def _subject_problem(claims: Claims) -> str | None:
    subject = claims.get("sub")
    usable = isinstance(subject, str) and subject != ""
    return None if usable else "sub is missing or not a string"
