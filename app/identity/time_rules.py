"""The rules for the times in a token."""

from collections.abc import Callable, Iterator
from typing import TypeGuard

from ..settings import IssuerSettings
from .findings import Rule, present, value_of
from .models import Claims


def time_rules(issuer: IssuerSettings, clock: Callable[[], float]) -> Iterator[Rule]:
    """Yield the rules for `exp`, `nbf`, `iat` and the age of a token (RFC 7519 section 4.1)."""
    leeway, max_age = issuer.leeway_seconds, issuer.max_token_age_seconds

    def expired(claims: Claims) -> str | None:
        if "exp" not in claims:
            # An introspection response may lack it (RFC 7662 section 2.2).
            return "exp is missing" if issuer.introspection is None else None
        late = clock() >= claims["exp"] + leeway
        return "the token has expired" if late else None

    def not_yet_valid(claims: Claims) -> str | None:
        early = clock() < claims["nbf"] - leeway if "nbf" in claims else False
        return "the token is not valid yet" if early else None

    def from_the_future(claims: Claims) -> str | None:
        early = clock() < claims["iat"] - leeway if "iat" in claims else False
        return "the token was issued in the future" if early else None

    def too_old(claims: Claims) -> str | None:
        assert max_age is not None  # noqa: S101 - types
        iat = claims.get("iat")
        old = not _is_number(iat) or clock() > iat + max_age + leeway
        return "the token is older than max_token_age_seconds" if old else None

    limit = f"at most {leeway} s in the future, by the clock of this service"
    yield _date("exp", expired, f"at most {leeway} s ago", value_of("exp"))
    yield _date("nbf", not_yet_valid, limit)
    yield _date("iat", from_the_future, limit)
    if max_age is not None:
        expected = f"an iat at most {max_age} s ago"
        risk = "older tokens are accepted"
        yield Rule("age", too_old, expected, present, "MAX_TOKEN_AGE_SECONDS", risk)


def _date(
    name: str,
    check: Callable[[Claims], str | None],
    expected: str,
    received: Callable[[Claims], str | None] = lambda _: None,
) -> Rule:
    def problem(claims: Claims) -> str | None:
        value = claims.get(name, 0)
        if not _is_number(value):
            return f"{name} is not a number"
        return check(claims)

    risk = "clocks may differ more, so expired tokens are accepted for longer"
    return Rule(name, problem, expected, received, "LEEWAY_SECONDS", risk)


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)
