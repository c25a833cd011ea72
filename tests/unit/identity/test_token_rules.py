from typing import Any

import pytest

from app.errors import InsufficientScopeError, UnauthenticatedError
from app.identity.token_rules import TokenRules
from app.settings import IssuerSettings
from tests.support.in_process import Clock, told

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
    """Return good claims without these."""
    return {name: value for name, value in CLAIMS.items() if name not in names}


GOOD_CHANGES: list[dict[str, Any]] = [
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


@pytest.mark.parametrize("changes", GOOD_CHANGES)
def test_claims_that_keep_the_rules_hold(changes: dict[str, Any]) -> None:
    """Clocks may differ by the leeway, in either direction."""
    rules().check({**CLAIMS, **changes})


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({**CLAIMS, "iss": "https://id.example/"}, "iss is another issuer's"),
        (without("iss"), "iss is another issuer's"),
        (without("sub"), "sub is missing or not a string"),
        ({**CLAIMS, "sub": ""}, "sub is missing or not a string"),
        ({**CLAIMS, "sub": 5}, "sub is missing or not a string"),
        (without("aud"), "aud does not name this service"),
        ({**CLAIMS, "aud": "Vault-bff"}, "aud does not name this service"),
        ({**CLAIMS, "aud": ["other"]}, "aud does not name this service"),
        ({**CLAIMS, "aud": []}, "aud does not name this service"),
        ({**CLAIMS, "aud": ["vault-bff", 5]}, "aud does not name this service"),
        (without("exp"), "exp is missing"),
        ({**CLAIMS, "exp": NOW - LEEWAY}, "it has expired"),
        ({**CLAIMS, "nbf": NOW + LEEWAY + 1}, "it is not valid yet"),
        ({**CLAIMS, "iat": NOW + LEEWAY + 1}, "it was issued in the future"),
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
def test_claims_that_break_a_rule_are_refused(claims: dict[str, Any], reason: str) -> None:
    """Every caller reads the same, so that nobody can feel their way; the operator reads which."""
    with pytest.raises(UnauthenticatedError) as error:
        rules().check(claims)

    assert told(error.value) == ("The access token is not valid.", reason)
    assert error.value.presented is True


@pytest.mark.parametrize(
    ("claims", "holds"),
    [
        ({"iat": NOW - 600 - LEEWAY}, True),
        ({"iat": NOW - 600 - LEEWAY - 1}, False),
        ({}, False),
    ],
)
def test_a_token_can_be_too_old_although_it_has_not_expired(
    claims: dict[str, Any], *, holds: bool
) -> None:
    """Where an age is configured, a token that does not say its own is too old as well."""
    strict = rules(max_token_age_seconds=600)
    if holds:
        strict.check({**CLAIMS, **claims})
        return
    with pytest.raises(UnauthenticatedError) as error:
        strict.check({**CLAIMS, **claims})
    assert error.value.reason == "it is older than this issuer's tokens may be"


def test_a_delegated_token_of_a_service_is_nobodys() -> None:
    """Whether the subject's grant counts or the actor's is not guessed."""
    services().check(CLAIMS)

    with pytest.raises(UnauthenticatedError) as error:
        services().check({**CLAIMS, "act": {"sub": "support"}})
    assert error.value.reason == "a delegated token (act) of an issuer of services"


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
def test_a_required_scope_stands_in_scope_or_scp(claims: dict[str, Any]) -> None:
    """Issuers spell it in four ways."""
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
def test_a_token_without_the_required_scope_lacks_a_right(claims: dict[str, Any]) -> None:
    """`scope` comes first, words are whole, and the caller reads which scope it is."""
    with pytest.raises(InsufficientScopeError) as error:
        rules(required_scope="read").check({**CLAIMS, **claims})

    assert told(error.value) == ("The access token lacks the scope read.", "missing scope read")


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
    """Role names contain spaces, so only a list can hold several roles."""
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
    there = rules(required_role="mint", role_claim="/realm/roles")
    there.check({**CLAIMS, "realm": {"roles": ["see", "mint"]}})

    with pytest.raises(InsufficientScopeError) as error:
        there.check({**CLAIMS, "roles": ["mint"]})
    assert told(error.value) == ("The access token lacks the role mint.", "missing role mint")


def test_a_scope_and_a_role_can_be_required_together() -> None:
    """Either alone is too little."""
    both = rules(required_scope="read", required_role="mint")
    both.check({**CLAIMS, "scope": "read", "roles": ["mint"]})

    for claims in ({"scope": "read"}, {"roles": ["mint"]}):
        with pytest.raises(InsufficientScopeError):
            both.check({**CLAIMS, **claims})


def test_the_audience_can_stand_in_another_claim() -> None:
    """Then `aud` means nothing, and what is missing is called by that claim's name."""
    elsewhere = rules(audience_claim="/client/id", audience=("vault-bff", "vault"))
    claims = {**without("aud"), "client": {"id": "vault"}}
    elsewhere.check(claims)
    assert elsewhere.is_for(claims)
    assert not elsewhere.is_for(CLAIMS)

    with pytest.raises(UnauthenticatedError) as error:
        elsewhere.check(CLAIMS)
    assert error.value.reason == "/client/id does not name this service"


@pytest.mark.parametrize(
    ("claims", "ours"),
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
def test_a_token_is_for_an_issuer_if_both_names_fit(claims: dict[str, Any], *, ours: bool) -> None:
    """Issuer and audience together choose whose rules a token is held against."""
    assert rules().is_for(claims) is ours


ID_TOKENS: list[dict[str, Any]] = [
    {"nonce": "n"},
    {"nonce": None},
    {"at_hash": "h"},
    {"c_hash": "h"},
    {"s_hash": "h"},
    {"nonce": "n", "typ": "ID"},
    {"nonce": "n", "typ": "bearer"},
    {"typ": "ID"},
    {"token_use": "id"},
]
INTROSPECTION = {"client_id": "vault", "client_secret": "s3cret"}


@pytest.mark.parametrize("claims", ID_TOKENS)
@pytest.mark.parametrize("settings", [{"token_type": "any"}, {"introspection": INTROSPECTION}])
def test_an_id_token_is_rejected_where_the_header_does_not_tell(
    claims: dict[str, Any], settings: dict[str, Any]
) -> None:
    """ID tokens are recognized by claims that access tokens do not have."""
    with pytest.raises(UnauthenticatedError) as error:
        rules(**settings).check({**CLAIMS, **claims})

    assert error.value.detail == "The access token is not valid."
    assert str(error.value.reason).startswith("an ID token: ")


def test_a_security_event_token_is_rejected_where_the_header_does_not_tell() -> None:
    """A logout token has the audience of a client, and the claim `events` (RFC 8417)."""
    with pytest.raises(UnauthenticatedError) as error:
        rules(token_type="any").check({**CLAIMS, "events": {}})

    assert error.value.reason == "a security event or logout token: it has the claim events"


@pytest.mark.parametrize("claims", [*ID_TOKENS, {"events": {}}])
def test_the_header_alone_decides_where_it_is_checked(claims: dict[str, Any]) -> None:
    """With `at+jwt` required, an access token may have any claim."""
    rules().check({**CLAIMS, **claims})


@pytest.mark.parametrize(
    "claims",
    [{"nonce": "n", "typ": "Bearer"}, {"typ": "at+jwt"}, {"token_use": "access"}, {"azp": "web"}],
)
def test_an_access_token_is_accepted_without_a_header_typ(claims: dict[str, Any]) -> None:
    """Older Keycloak releases put `nonce` into access tokens, which they mark as `Bearer`."""
    rules(token_type="any").check({**CLAIMS, **claims})


@pytest.mark.parametrize("claims", [{"client_id": "x"}, {"client_id": None}, {"a": {"b": []}}])
def test_a_token_with_a_forbidden_claim_is_rejected(claims: dict[str, Any]) -> None:
    """Any value counts, null included; the operator reads which claim it is."""
    strict = rules(forbidden_claims=["client_id", "/a/b"])
    strict.check({**CLAIMS, "a": {"c": 1}})

    with pytest.raises(UnauthenticatedError) as error:
        strict.check({**CLAIMS, **claims})
    path = "client_id" if "client_id" in claims else "/a/b"
    assert error.value.reason == f"it has the claim {path}, which forbidden_claims excludes"


@pytest.mark.parametrize(
    ("expected", "value", "accepted"),
    [
        ("active", "active", True),
        ("active", "pending", False),
        ("active", ["active"], False),
        ("active", None, False),
        ("1", 1, False),
        (1, 1, True),
        (1, True, False),
        (1, 1.0, False),
        (True, True, True),
        (True, 1, False),
        (True, "true", False),
        (False, None, False),
    ],
)
def test_a_required_claim_has_exactly_the_configured_value(
    expected: Any, value: Any, *, accepted: bool
) -> None:
    """Value and JSON type are compared; a missing claim has no value."""
    strict = rules(required_claims={"/session/status": expected})
    claims = {**CLAIMS, "session": {"status": value}}
    if accepted:
        strict.check(claims)
        return
    for wrong in (claims, CLAIMS):
        with pytest.raises(UnauthenticatedError) as error:
            strict.check(wrong)
        assert error.value.reason == ("its claim /session/status is not what required_claims says")
