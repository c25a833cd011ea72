"""The rules for a token's claims that depend on the settings of its issuer."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from ..errors import InsufficientScopeError
from ..settings import IssuerSettings
from ..settings.claims import ClaimValue
from .claim_paths import ABSENT, claim
from .findings import Finding, Rule, kind_of, present, shown
from .models import Claims


def configured_claim_rules(issuer: IssuerSettings) -> Iterator[Rule]:
    """Yield the rules for the claims that are required and forbidden."""
    for path in issuer.forbidden_claims:
        yield _forbidden(path)
    for path, expected in issuer.required_claims.items():
        yield _required(path, expected)


def delegation_rule(issuer: IssuerSettings) -> Rule:
    """Return the rule for delegated tokens (RFC 8693 section 4.1)."""

    def problem(claims: Claims) -> str | None:
        if "act" not in claims:
            return None
        if not issuer.identifies_users:
            # Whose grant would count, the subject's or the actor's? Neither is safe to assume.
            return "a delegated token (act) of an issuer of services"
        return None if names_its_actor(claims) else "act names no actor"

    return Rule("act", problem)


def names_its_actor(claims: Claims) -> bool:
    """Return whether the actor of delegated claims has a name; True if they are not delegated."""
    actor = claims.get("act", {"sub": ""})
    return isinstance(actor, dict) and isinstance(actor.get("sub"), str)


def rights_rules(issuer: IssuerSettings) -> Iterator[Rule]:
    """Yield the rules for the required scope and role."""
    scope, role = issuer.required_scope, issuer.required_role
    if scope is not None:
        yield _right("scope", scope, _scopes, _shown_scope, "REQUIRED_SCOPE")
    if role is not None:
        path = issuer.role_claim

        def roles(claims: Claims) -> list[Any]:
            return _roles(claim(claims, path))

        yield _right("role", role, roles, kind_of(path), "REQUIRED_ROLE")


def _forbidden(path: str) -> Rule:
    def problem(claims: Claims) -> str | None:
        if claim(claims, path, ABSENT) is ABSENT:
            return None
        return f"the token has the claim {path}, which is in forbidden_claims"

    risk = "tokens of other kinds may be accepted"
    return Rule(f"forbidden claim {path}", problem, setting="FORBIDDEN_CLAIMS", risk=risk)


def _required(path: str, expected: ClaimValue) -> Rule:
    def problem(claims: Claims) -> str | None:
        value = claim(claims, path)
        # True equals 1 in Python, but not in JSON.
        if type(value) is type(expected) and value == expected:
            return None
        return f"the claim {path} differs from its value in required_claims"

    risk = "tokens of other kinds may be accepted"
    return Rule(f"required claim {path}", problem, None, kind_of(path), "REQUIRED_CLAIMS", risk)


def _right(
    kind: str,
    required: str,
    rights: Callable[[Claims], list[Any]],
    received: Callable[[Claims], str],
    setting: str,
) -> Rule:
    def problem(claims: Claims) -> str | None:
        return None if required in rights(claims) else f"missing {kind} {required}"

    def error(finding: Finding, claims: Claims) -> InsufficientScopeError:
        detail = f"Your account lacks the {kind} {required}."
        # The log has no scopes, because issuers put identifiers of people into some.
        reason = str(replace(finding, received=None))
        insufficient = InsufficientScopeError(detail, reason=reason)
        insufficient.subject = claims["sub"]
        return insufficient

    risk = "tokens without this right are accepted"
    return Rule(kind, problem, ascii(required), received, setting, risk, error)


def _shown_scope(claims: Claims) -> str:
    for name in ("scope", "scp"):
        if name in claims:
            return shown(claims[name])
    return f"no scope and no scp; {present(claims)}"


def _scopes(claims: Claims) -> list[Any]:
    """Return the scopes of a token: a space-separated string (RFC 8693 section 4.2) or a list."""
    value = claims.get("scope", claims.get("scp"))
    return value.split(" ") if isinstance(value, str) else _list(value)


def _roles(value: Any) -> list[Any]:
    """Return the roles in a claim: a string is one role, because role names contain spaces."""
    return [value] if isinstance(value, str) else _list(value)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
