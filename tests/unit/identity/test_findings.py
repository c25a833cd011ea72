from typing import Any

import pytest

from app.errors import UnauthenticatedError
from app.identity.findings import MAX_SHOWN, Finding, Rule, present, shown, value_of
from app.identity.header_rules import header_rules
from app.identity.token_rules import TokenRules
from app.settings import IssuerSettings
from tests.support.in_process import Clock

NOW = 10_000.0
CLAIMS = {"iss": "https://id.example", "aud": "vault-bff", "sub": "ada", "exp": NOW + 60}
PRESENT = "present are 'aud', 'exp', 'iss', 'sub'"


def issuer(**more: Any) -> IssuerSettings:
    """Return an issuer with these settings."""
    return IssuerSettings.model_validate(
        {"issuer": "https://id.example", "audience": "vault-bff", **more}
    )


def failures(claims: dict[str, Any], **more: Any) -> list[str]:
    """Return every check of claims that fails, as text."""
    rules = TokenRules(issuer(**more), Clock(NOW))
    return [str(one) for one in rules.findings(claims) if not one.passed]


@pytest.mark.parametrize(
    ("changes", "settings", "text"),
    [
        (
            {"iss": "https://id.example/"},
            {},
            (
                "iss is another issuer (iss has a slash too many at its end): "
                "received 'https://id.example/', expected 'https://id.example'"
            ),
        ),
        (
            {"iss": "https://id.example"},
            {"issuer": "https://id.example/"},
            (
                "iss is another issuer (iss lacks the slash at the end of the configured one): "
                "received 'https://id.example', expected 'https://id.example/'"
            ),
        ),
        (
            {"iss": "https://ID.example"},
            {},
            (
                "iss is another issuer (they differ only in capital letters): "
                "received 'https://ID.example', expected 'https://id.example'"
            ),
        ),
        (
            {"iss": "http://id.example"},
            {},
            (
                "iss is another issuer (they differ only in the scheme): "
                "received 'http://id.example', expected 'https://id.example'"
            ),
        ),
        (
            {"aud": ["a", "b", 5]},
            {"audience": ["one", "two"]},
            "aud does not name this service: received 'a', 'b', a number, expected 'one' or 'two'",
        ),
        (
            {"azp": "https://other.example"},
            {"audience_claim": "azp"},
            (
                "azp does not name this service: "
                "received a value of azp that is not shown, expected 'vault-bff'"
            ),
        ),
        ({"exp": 5}, {}, "the token has expired: received 5, expected at most 30 s ago"),
        (
            {"nbf": NOW + 99},
            {},
            (
                "the token is not valid yet: "
                "expected at most 30 s in the future, by the clock of this service"
            ),
        ),
        (
            {},
            {"max_token_age_seconds": 60},
            (
                "the token is older than max_token_age_seconds: "
                f"received {PRESENT}, expected an iat at most 60 s ago"
            ),
        ),
        (
            {"sub": 5},
            {},
            (
                "sub is missing or not a string: "
                "received a value of sub that is not shown, expected a string that is not empty"
            ),
        ),
        (
            {},
            {"required_scope": "mint"},
            f"missing scope mint: received no scope and no scp; {PRESENT}, expected 'mint'",
        ),
        (
            {"scope": "read write"},
            {"required_scope": "mint"},
            "missing scope mint: received 'read write', expected 'mint'",
        ),
        (
            {"roles": "boss"},
            {"required_role": "admin"},
            "missing role admin: received a value of roles that is not shown, expected 'admin'",
        ),
        (
            {},
            {"required_claims": {"tier": "gold"}},
            (
                "the claim tier differs from its value in required_claims: "
                f"received no tier; {PRESENT}"
            ),
        ),
    ],
)
def test_a_failed_check_shows_the_received_and_expected_values(
    changes: dict[str, Any], settings: dict[str, Any], text: str
) -> None:
    """Only values of iss, aud, exp and scope are shown; other claims are shown by name only."""
    assert failures({**CLAIMS, **changes}, **settings) == [text]


def test_every_check_has_a_finding() -> None:
    """One failed check does not hide the others, and a valid token passes all of them."""
    assert failures(CLAIMS, token_type="any", required_scope=None) == []

    wrong = failures({"iss": "https://other.example", "exp": "never"}, required_scope="mint")

    assert [one.partition(":")[0] for one in wrong] == [
        "iss is another issuer",
        "sub is missing or not a string",
        "aud does not name this service",
        "exp is not a number",
        "missing scope mint",
    ]


@pytest.mark.parametrize(
    ("header", "settings", "text", "setting", "weakens"),
    [
        (
            {"alg": "RS512", "typ": "at+jwt"},
            {"algorithms": ["RS256", "ES256"]},
            (
                "the algorithm is not allowed for this issuer: "
                "received 'RS512', expected 'RS256' or 'ES256'"
            ),
            "ALGORITHMS",
            False,
        ),
        (
            {"alg": "RS256", "typ": "JWT"},
            {},
            "the typ is not at+jwt: received 'JWT', expected 'at+jwt'",
            "TOKEN_TYPE",
            True,
        ),
        (
            {"alg": "RS256"},
            {},
            "the typ is not at+jwt: received no typ; present are 'alg', expected 'at+jwt'",
            "TOKEN_TYPE",
            True,
        ),
        (
            {"alg": "RS256", "typ": "logout+jwt"},
            {"token_type": "any"},
            (
                "the typ is that of another kind of token: "
                "received 'logout+jwt', expected no typ, 'JWT' or 'at+jwt'"
            ),
            None,
            False,
        ),
    ],
)
def test_a_finding_names_the_setting_that_would_change_it(
    header: dict[str, Any],
    settings: dict[str, Any],
    text: str,
    setting: str | None,
    *,
    weakens: bool,
) -> None:
    """If that setting weakens security, the finding says how."""
    findings = [rule.examine(header) for rule in header_rules(issuer(**settings))]

    [failed] = [one for one in findings if not one.passed]
    assert (str(failed), failed.setting) == (text, setting)
    assert (failed.risk is not None) is weakens


def test_a_check_that_passes_shows_its_values_too() -> None:
    """`check --token` prints them."""
    finding = TokenRules(issuer(), Clock(NOW)).rules[0].examine(CLAIMS)

    assert finding == Finding(
        "iss", None, "'https://id.example'", "'https://id.example'", setting="ISSUER"
    )
    assert str(finding) == "iss: received 'https://id.example', expected 'https://id.example'"


def test_no_text_is_built_while_checks_pass() -> None:
    """Requests with valid tokens must not spend time on texts."""

    def fail(_: Any) -> str:
        raise AssertionError("a text was built")

    Rule("x", lambda _: None, received=fail).enforce({})

    with pytest.raises(UnauthenticatedError):
        Rule("x", lambda _: "wrong").enforce({})


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a\nb\x7f\u202e'", '"a\\nb\\x7f\\u202e\'"'),
        ("x" * MAX_SHOWN, f"'{'x' * MAX_SHOWN}'"),
        ("x" * (MAX_SHOWN + 7), f"'{'x' * MAX_SHOWN}' and 7 more"),
        (["a"] * 18, f"{', '.join(['a'.join(2 * chr(39))] * 16)} and 2 more"),
        ([[], {}, None, True, 5], "a list, an object, null, a boolean, a number"),
        ([], "none"),
        (None, "None"),
        (True, "True"),
        (5, "5"),
        ({"email": "ada@example.com"}, "an object"),
    ],
)
def test_values_are_sanitized_and_truncated(value: Any, text: str) -> None:
    """A token cannot forge a log line, control a terminal or fill a log."""
    assert shown(value) == text


def test_only_the_names_of_claims_are_shown() -> None:
    """The names are sanitized like values."""
    claims = {"email": "ada@example.com", "b\n": 1}

    assert present(claims) == "present are 'b\\n', 'email'"
    assert value_of("typ")(claims) == "no typ; present are 'b\\n', 'email'"
