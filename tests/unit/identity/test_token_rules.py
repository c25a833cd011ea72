from typing import Any

import pytest

from app.errors import InsufficientScopeError, UnauthenticatedError
from app.identity.token_rules import TokenRules
from app.settings import IssuerSettings
from tests.support.in_process import Clock, problem_of

NOW = 10_000.0
LEEWAY = 30
CLAIMS = {"iss": "https://id.example", "aud": "vault-bff", "sub": "ada", "exp": NOW + 60}


def rules(**more: Any) -> TokenRules:
    """Return the rules of an issuer with these settings."""
    settings = {"issuer": "https://id.example", "audience": "vault-bff", **more}
    return TokenRules(IssuerSettings.model_validate(settings), Clock(NOW))


def services(**more: Any) -> TokenRules:
    """Return the rules of an issuer of services."""
    return rules(kind="services", grants={"job": ("*",)}, **more)


def without(*names: str) -> dict[str, Any]:
    """Return valid claims without those with these names."""
    return {name: value for name, value in CLAIMS.items() if name not in names}


VALID_CHANGES: list[dict[str, Any]] = [
    {},
    {"aud": ["vault-bff"]},
    {"aud": ["other", "vault-bff"]},
    {"exp": NOW - LEEWAY + 1},
    {"exp": NOW + 0.5},
    {"nbf": NOW + LEEWAY},
    {"nbf": 0},
    {"iat": NOW + LEEWAY},
    {"iat": 0},
    {"act": {"sub": "support"}},
]


@pytest.mark.parametrize("changes", VALID_CHANGES)
def test_valid_claims_are_accepted(changes: dict[str, Any]) -> None:
    """Clocks may differ by the leeway, in either direction."""
    rules().check({**CLAIMS, **changes})


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({**CLAIMS, "iss": "https://other.example"}, "iss is another issuer"),
        (without("iss"), "iss is another issuer"),
        (without("sub"), "sub is missing or not a string"),
        ({**CLAIMS, "sub": ""}, "sub is missing or not a string"),
        ({**CLAIMS, "sub": 5}, "sub is missing or not a string"),
        (without("aud"), "aud does not name this service"),
        ({**CLAIMS, "aud": "Vault-bff"}, "aud does not name this service"),
        ({**CLAIMS, "aud": ["other"]}, "aud does not name this service"),
        ({**CLAIMS, "aud": []}, "aud does not name this service"),
        ({**CLAIMS, "aud": ["vault-bff", 5]}, "aud does not name this service"),
        (without("exp"), "exp is missing"),
        ({**CLAIMS, "exp": NOW - LEEWAY}, "the token has expired"),
        ({**CLAIMS, "nbf": NOW + LEEWAY + 1}, "the token is not valid yet"),
        ({**CLAIMS, "iat": NOW + LEEWAY + 1}, "the token was issued in the future"),
        *(
            ({**CLAIMS, name: value}, f"{name} is not a number")
            for name in ("exp", "nbf", "iat")
            for value in ("9999999999", True, None)
        ),
        ({**CLAIMS, "act": None}, "act names no actor"),
        ({**CLAIMS, "act": "support"}, "act names no actor"),
        ({**CLAIMS, "act": {"sub": 5}}, "act names no actor"),
        ({**CLAIMS, "act": {"iss": "support"}}, "act names no actor"),
    ],
)
def test_claims_that_break_a_rule_are_rejected(claims: dict[str, Any], reason: str) -> None:
    """The caller's message is always the same, so that it does not help an attacker."""
    with pytest.raises(UnauthenticatedError) as error:
        rules().check(claims)

    assert (error.value.detail, problem_of(error.value)) == (
        "Your sign-in is not valid. Please sign in again.",
        reason,
    )
    assert error.value.presented is True


@pytest.mark.parametrize(
    ("claims", "accepted"),
    [
        ({"iat": NOW - 600 - LEEWAY}, True),
        ({"iat": NOW - 600 - LEEWAY - 1}, False),
        ({}, False),
    ],
)
def test_a_token_can_be_too_old_although_it_has_not_expired(
    claims: dict[str, Any], *, accepted: bool
) -> None:
    """If a maximum age is configured, a token without `iat` is too old."""
    strict = rules(max_token_age_seconds=600)
    if accepted:
        strict.check({**CLAIMS, **claims})
        return
    with pytest.raises(UnauthenticatedError) as error:
        strict.check({**CLAIMS, **claims})
    assert problem_of(error.value) == "the token is older than max_token_age_seconds"


def test_a_delegated_token_of_a_service_is_rejected() -> None:
    """It is unclear whether the grant of the subject or of the actor applies."""
    services().check(CLAIMS)

    with pytest.raises(UnauthenticatedError) as error:
        services().check({**CLAIMS, "act": {"sub": "support"}})
    assert problem_of(error.value) == "a delegated token (act) of an issuer of services"


@pytest.mark.parametrize(
    "claims",
    [
        {"scope": "read"},
        {"scope": "write read"},
        {"scope": ["write", "read"]},
        {"scp": "read write"},
        {"scp": ["read"]},
    ],
)
def test_a_required_scope_is_read_from_scope_or_scp(claims: dict[str, Any]) -> None:
    """Issuers send a string or a list in either claim."""
    rules(required_scope="read").check({**CLAIMS, **claims})


@pytest.mark.parametrize(
    "claims",
    [
        {},
        {"scope": "readonly"},
        {"scope": "read,write"},
        {"scope": "write\tread"},
        {"scope": "write", "scp": "read"},
        {"scope": {"read": True}},
        {"scope": None},
        {"roles": ["read"]},
    ],
)
def test_a_token_without_the_required_scope_is_rejected(claims: dict[str, Any]) -> None:
    """`scope` takes precedence over `scp`, and scopes are compared as a whole."""
    with pytest.raises(InsufficientScopeError) as error:
        rules(required_scope="read").check({**CLAIMS, **claims})

    assert error.value.detail == "Your account lacks the scope read."
    assert error.value.reason == "missing scope read: expected 'read'"


@pytest.mark.parametrize(
    ("roles", "accepted"),
    [
        ("admin", True),
        (["user", "admin"], True),
        ("Billing admin", False),
        ("admin user", False),
        (["Billing admin"], False),
        ("Admin", False),
        ({"admin": True}, False),
        (None, False),
    ],
)
def test_a_string_of_roles_is_one_role(roles: Any, *, accepted: bool) -> None:
    """Role names contain spaces, so only a list can contain several roles."""
    admins = rules(required_role="admin")
    if accepted:
        admins.check({**CLAIMS, "roles": roles})
        return
    with pytest.raises(InsufficientScopeError):
        admins.check({**CLAIMS, "roles": roles})


def test_a_required_role_can_contain_a_space() -> None:
    """It is compared as a whole, in a string and in a list."""
    admins = rules(required_role="Integration Admins")
    admins.check({**CLAIMS, "roles": "Integration Admins"})
    admins.check({**CLAIMS, "roles": ["Integration Admins"]})

    with pytest.raises(InsufficientScopeError):
        admins.check({**CLAIMS, "roles": ["Integration", "Admins"]})


def test_the_role_is_read_from_the_configured_claim() -> None:
    """The default claim is `roles`; the caller's message names the missing role."""
    rules(required_role="mint").check({**CLAIMS, "roles": ["mint"]})
    configured = rules(required_role="mint", role_claim="/realm/roles")
    configured.check({**CLAIMS, "realm": {"roles": ["see", "mint"]}})

    with pytest.raises(InsufficientScopeError) as error:
        configured.check({**CLAIMS, "roles": ["mint"]})
    assert error.value.detail == "Your account lacks the role mint."
    assert problem_of(error.value) == "missing role mint"


def test_a_scope_and_a_role_can_be_required_together() -> None:
    """One of the two is not enough."""
    both = rules(required_scope="read", required_role="mint")
    both.check({**CLAIMS, "scope": "read", "roles": ["mint"]})

    for claims in ({"scope": "read"}, {"roles": ["mint"]}):
        with pytest.raises(InsufficientScopeError):
            both.check({**CLAIMS, **claims})


def test_the_audience_can_be_in_another_claim() -> None:
    """`aud` is then ignored, and the operator's message names the other claim."""
    elsewhere = rules(audience_claim="/client/id", audience=("vault-bff", "vault"))
    claims = {**without("aud"), "client": {"id": "vault"}}
    elsewhere.check(claims)
    assert elsewhere.is_for(claims)
    assert not elsewhere.is_for(CLAIMS)

    with pytest.raises(UnauthenticatedError) as error:
        elsewhere.check(CLAIMS)
    assert problem_of(error.value) == "/client/id does not name this service"


@pytest.mark.parametrize(
    ("claims", "recognized"),
    [
        ({"iss": "https://id.example", "aud": "vault-bff"}, True),
        ({"iss": "https://id.example", "aud": ["other", "vault-bff"]}, True),
        ({"iss": "https://id.example", "aud": "other"}, False),
        ({"iss": "https://id.example"}, False),
        ({"iss": "https://other.example", "aud": "vault-bff"}, False),
        ({"aud": "vault-bff"}, False),
        ({}, False),
    ],
)
def test_a_token_is_recognized_by_issuer_and_audience(
    claims: dict[str, Any], *, recognized: bool
) -> None:
    """Both together select the rules for a token."""
    assert rules().is_for(claims) is recognized
