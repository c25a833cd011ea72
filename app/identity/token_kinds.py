"""The rule that tells access tokens from other tokens by their claims."""

from .findings import Rule, present
from .models import Claims

_ID_TOKEN_CLAIMS = ("nonce", "at_hash", "c_hash", "s_hash")


def kind_rule() -> Rule:
    """Return the rule that rejects a token whose claims show that it is not an access token.

    The attack: where an issuer gives ID tokens and access tokens the same audience, every
    application that people sign in to has ID tokens, and could open connections with them.
    The header `typ` distinguishes them unless `token_type` is `any`; an introspection response
    contains no header. Keycloak marks access tokens as `Bearer` in the payload, and older
    releases add `nonce` to them. An ID token without these claims is not detected.

    Source: OpenID Connect Core sections 2 and 3.3.2.11; RFC 8417 section 2.2.
    """
    return Rule("kind", _problem, "the claims of an access token", present)


def _problem(claims: Claims) -> str | None:
    if claims.get("typ") == "Bearer":
        return None
    for name in _ID_TOKEN_CLAIMS:
        if name in claims:
            return f"an ID token: it has the claim {name}"
    if claims.get("typ") == "ID" or claims.get("token_use") == "id":
        return "an ID token, according to typ or token_use"
    if "events" in claims:
        return "a security event or logout token: it has the claim events"
    return None
