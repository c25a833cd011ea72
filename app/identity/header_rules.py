"""The rules for the header of a signed token (RFC 7515, RFC 8725)."""

from typing import Any, Final

from ..settings import IssuerSettings
from .findings import Rule, listing, present, value_of
from .models import Claims

MAX_KID_LENGTH: Final = 256

_ANY_TYPE = "tokens that their issuer does not mark as access tokens are accepted"


def header_rules(issuer: IssuerSettings) -> tuple[Rule, ...]:
    """Return the rules for the header, in the order in which they are checked."""
    return (
        _algorithm_rule(issuer),
        Rule("extensions", _extension_problem, "neither crit nor b64", present),
        Rule("kid", _kid_problem, f"at most {MAX_KID_LENGTH} characters, or no kid"),
        _type_rule(issuer),
    )


def _algorithm_rule(issuer: IssuerSettings) -> Rule:
    def problem(header: Claims) -> str | None:
        algorithm = header.get("alg")
        allowed = isinstance(algorithm, str) and algorithm in issuer.algorithms
        return None if allowed else "the algorithm is not allowed for this issuer"

    return Rule("alg", problem, listing(issuer.algorithms), value_of("alg"), "ALGORITHMS")


def _extension_problem(header: Claims) -> str | None:
    required = "crit" in header or "b64" in header
    return "the header requires an extension (crit or b64)" if required else None


def _kid_problem(header: Claims) -> str | None:
    kid = header.get("kid")
    usable = isinstance(kid, str | None) and len(kid or "") <= MAX_KID_LENGTH
    return None if usable else "the kid is not a string, or too long"


def _type_rule(issuer: IssuerSettings) -> Rule:
    """Return the rule for `typ`, which tells kinds of tokens apart (RFC 8725 section 3.11)."""
    if issuer.token_type == "at+jwt":  # noqa: S105 - a media type
        return Rule("typ", _not_access_token, "'at+jwt'", value_of("typ"), "TOKEN_TYPE", _ANY_TYPE)
    return Rule("typ", _other_kind, "no typ, 'JWT' or 'at+jwt'", value_of("typ"))


def _not_access_token(header: Claims) -> str | None:
    return None if _media_type(header) == "at+jwt" else "the typ is not at+jwt"


def _other_kind(header: Claims) -> str | None:
    kind = _media_type(header)
    general = kind is None or (isinstance(kind, str) and (kind == "at+jwt" or "+" not in kind))
    return None if general else "the typ is that of another kind of token"


def _media_type(header: Claims) -> Any:
    value = header.get("typ")
    return value.lower().removeprefix("application/") if isinstance(value, str) else value
