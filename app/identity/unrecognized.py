"""Why no source recognizes a credential, for the operator."""

from collections.abc import Sequence
from typing import Any

from ..errors import UnauthenticatedError
from ..settings.credentials import CredentialLocation
from .credentials import Credential
from .findings import invalid, listing, present, shown
from .source import Source
from .token_rules import TokenRules, difference
from .unverified_token import UnverifiedToken


def unrecognized(
    credential: Credential, here: Sequence[Source], everywhere: Sequence[Source]
) -> UnauthenticatedError:
    """Return the error for a credential that belongs to no source at its location.

    Args:
        credential: the credential; nothing in it is verified.
        here: the sources at its location.
        everywhere: all sources.
    """
    token = credential.signed_token
    if token is None:
        return invalid(_no_token(credential.value))
    rules = [one.rules for one in here if one.rules is not None]
    of_issuer = [one for one in rules if one.is_of_issuer(token.claims)]
    if of_issuer:
        findings = [str(one.audience_rule.examine(token.claims)) for one in of_issuer]
        return invalid("; ".join(findings))
    for source in everywhere:
        if source.rules is not None and source.rules.is_of_issuer(token.claims):
            return invalid(_elsewhere(source))
    return invalid(_other_issuer(token, rules))


def _no_token(value: str) -> str:
    parts = value.count(".") + 1
    received = f"received {len(value)} characters with {parts} part{'s' * (parts > 1)}"
    return (
        f"not a signed token (JWT): {received}, expected three parts with dots between them; only "
        "an issuer with introspection has other tokens"
    )


def _elsewhere(source: Source) -> str:
    where = " or ".join(map(_described, source.locations))
    return f"the token belongs to the issuer {source.name}: expected in {where}"


def _described(location: CredentialLocation) -> str:
    if location.kind == "authorization":
        return "the Authorization header"
    return f"the {location.kind} {location.name}"


def _other_issuer(token: UnverifiedToken, rules: Sequence[TokenRules]) -> str:
    received: Any = token.claims.get("iss")
    configured = list(dict.fromkeys(one.issuer for one in rules))
    hint = next(filter(None, (difference(received, one) for one in configured)), "")
    value = shown(received) if "iss" in token.claims else f"no iss; {present(token.claims)}"
    return f"iss is no configured issuer{hint}: received {value}, expected {listing(configured)}"
