from typing import Any

import pytest

from app.errors import UnauthenticatedError
from app.identity.token_rules import TokenRules
from app.settings import IssuerSettings
from tests.support.in_process import Clock, problem_of

NOW = 10_000.0
CLAIMS = {"iss": "https://id.example", "aud": "vault-bff", "sub": "ada", "exp": NOW + 60}


def rules(**more: Any) -> TokenRules:
    """Return the rules of an issuer with these settings."""
    settings = {"issuer": "https://id.example", "audience": "vault-bff", **more}
    return TokenRules(IssuerSettings.model_validate(settings), Clock(NOW))


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
def test_an_id_token_is_rejected_if_the_header_typ_is_not_checked(
    claims: dict[str, Any], settings: dict[str, Any]
) -> None:
    """ID tokens are recognized by claims that access tokens do not have."""
    with pytest.raises(UnauthenticatedError) as error:
        rules(**settings).check({**CLAIMS, **claims})

    assert error.value.detail == "Your sign-in is not valid. Please sign in again."
    assert str(error.value.reason).startswith("an ID token")


def test_a_security_event_is_rejected_if_the_header_typ_is_not_checked() -> None:
    """A logout token has the audience of a client, and the claim `events` (RFC 8417)."""
    with pytest.raises(UnauthenticatedError) as error:
        rules(token_type="any").check({**CLAIMS, "events": {}})

    assert problem_of(error.value) == "a security event or logout token: it has the claim events"


@pytest.mark.parametrize("claims", [*ID_TOKENS, {"events": {}}])
def test_only_the_header_typ_decides_if_it_is_checked(claims: dict[str, Any]) -> None:
    """If `at+jwt` is required, an access token can have any claim."""
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
    """The value does not matter, and can be null; the reason names the claim."""
    strict = rules(forbidden_claims=["client_id", "/a/b"])
    strict.check({**CLAIMS, "a": {"c": 1}})

    with pytest.raises(UnauthenticatedError) as error:
        strict.check({**CLAIMS, **claims})
    path = "client_id" if "client_id" in claims else "/a/b"
    assert (
        problem_of(error.value) == f"the token has the claim {path}, which is in forbidden_claims"
    )


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
    """The value and its JSON type are compared, and a missing claim is rejected."""
    strict = rules(required_claims={"/session/status": expected})
    claims = {**CLAIMS, "session": {"status": value}}
    if accepted:
        strict.check(claims)
        return
    for wrong in (claims, CLAIMS):
        with pytest.raises(UnauthenticatedError) as error:
            strict.check(wrong)
        assert problem_of(error.value) == (
            "the claim /session/status differs from its value in required_claims"
        )
