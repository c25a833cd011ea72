"""The texts of the token rules for the operator, in the log and in `check --token`."""

from typing import Any

import pytest

from app.identity.findings import Rule
from app.identity.header_rules import header_rules
from app.identity.token_rules import TokenRules
from app.settings import IssuerSettings
from tests.support.in_process import Clock

ISSUER: dict[str, Any] = {
    "issuer": "https://id.example/{tenantid}",
    "tenants": ["acme", "bolt"],
    "jwks_uri": "https://id.example/jwks",
    "audience": "vault-bff",
    "required_scope": "vault",
    "required_role": "admin",
    "forbidden_claims": ["nonce"],
    "required_claims": {"kind": "access"},
    "max_token_age_seconds": 600,
    "algorithms": ["RS256", "ES256"],
}
CLAIMS = {"iss": "https://other.example", "nonce": "n", "sub": "", "scope": "read", "kind": "x"}
PRESENT = "present are 'exp', 'iss', 'kind', 'nonce', 'scope', 'sub'"
SKEW = "clocks may differ more, so expired tokens are accepted for longer"
OTHER_KINDS = "tokens of other kinds may be accepted"
NO_RIGHT = "tokens without this right are accepted"
FUTURE = "at most 30 s in the future, by the clock of this service"
# For each rule: what is shown of the token, what is expected, the setting that would change the
# result, and the risk of changing it.
Text = tuple[str | None, str | None, str | None, str | None]
HEADER: dict[str, Text] = {
    "alg": ("'none'", "'RS256' or 'ES256'", "ALGORITHMS", None),
    "extensions": ("present are 'alg'", "neither crit nor b64", None, None),
    "kid": (None, "at most 256 characters, or no kid", None, None),
}
CLAIM_RULES: dict[str, Text] = {
    "iss": ("'https://other.example'", "'https://id.example/{tenantid}'", "ISSUER", None),
    "tenant": (
        "'https://other.example'",
        "the tenant 'acme' or 'bolt'",
        "TENANTS",
        "the people of a further tenant are accepted",
    ),
    "tenant claim tid": (
        f"no tid; {PRESENT}",
        "the value of {tenantid} in iss",
        "TENANT_CLAIM",
        None,
    ),
    "sub": ("a value of sub that is not shown", "a string that is not empty", None, None),
    "audience": (f"no aud; {PRESENT}", "'vault-bff'", "AUDIENCE", None),
    "exp": ("1", "at most 30 s ago", "LEEWAY_SECONDS", SKEW),
    "nbf": (None, FUTURE, "LEEWAY_SECONDS", SKEW),
    "iat": (None, FUTURE, "LEEWAY_SECONDS", SKEW),
    "age": (
        PRESENT,
        "an iat at most 600 s ago",
        "MAX_TOKEN_AGE_SECONDS",
        "older tokens are accepted",
    ),
    "kind": (PRESENT, "the claims of an access token", None, None),
    "forbidden claim nonce": (None, None, "FORBIDDEN_CLAIMS", OTHER_KINDS),
    "required claim kind": (
        "a value of kind that is not shown",
        None,
        "REQUIRED_CLAIMS",
        OTHER_KINDS,
    ),
    "act": (None, None, None, None),
    "scope": ("'read'", "'vault'", "REQUIRED_SCOPE", NO_RIGHT),
    "role": (f"no roles; {PRESENT}", "'admin'", "REQUIRED_ROLE", NO_RIGHT),
}
TYPES: dict[str, Text] = {
    "any": ("no typ; present are 'alg'", "no typ, 'JWT' or 'at+jwt'", None, None),
    "at+jwt": (
        "no typ; present are 'alg'",
        "'at+jwt'",
        "TOKEN_TYPE",
        "tokens that their issuer does not mark as access tokens are accepted",
    ),
}


def texts(rules: tuple[Rule, ...], part: dict[str, Any]) -> dict[str, Text]:
    """Return the texts of each rule for a header or claims, by name and in order."""
    found = [rule.examine(part) for rule in rules]
    return {one.rule: (one.received, one.expected, one.setting, one.risk) for one in found}


@pytest.mark.parametrize("token_type", TYPES)
def test_each_rule_for_the_header_has_the_expected_texts(token_type: str) -> None:
    """The rule for `typ` depends on the setting."""
    issuer = IssuerSettings.model_validate({**ISSUER, "token_type": token_type})

    expected = {**HEADER, "typ": TYPES[token_type]}
    shown = texts(header_rules(issuer), {"alg": "none"})

    assert list(shown.items()) == list(expected.items())


@pytest.mark.parametrize("token_type", TYPES)
def test_each_rule_for_claims_has_the_expected_texts(token_type: str) -> None:
    """The kind of token is read from claims only if the header does not have to contain it."""
    issuer = IssuerSettings.model_validate({**ISSUER, "token_type": token_type})

    expected = CLAIM_RULES.copy()
    if token_type == "at+jwt":
        del expected["kind"]
    shown = texts(TokenRules(issuer, Clock(1000.0)).rules, {**CLAIMS, "exp": 1})

    assert list(shown.items()) == list(expected.items())
