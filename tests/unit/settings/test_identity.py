from typing import Any, get_args

import pytest
from pydantic import ValidationError

from app.errors import ConfigurationError
from app.identity.claim_paths import claim
from app.identity.jwt import signature_algorithms
from app.settings import IdentitySettings
from app.settings.issuers import Algorithm
from app.settings.sources import load_settings
from tests.support.settings import ISSUER, issuer_faults


@pytest.mark.parametrize("scope", ["", "read write", " read"])
def test_a_required_scope_is_one_scope(scope: str) -> None:
    """A scope contains no space (RFC 6749 section 3.3), so no token could have it."""
    assert issuer_faults(required_scope=scope) == {
        "required_scope": "must be one scope, without spaces"
    }


@pytest.mark.parametrize("value", [1.5, None, ["a"], {"a": 1}])
def test_a_required_claim_is_a_plain_value(value: Any) -> None:
    """Other values could not be compared without conversion."""
    assert issuer_faults(required_claims={"sts": value}) == {
        "required_claims.sts": "must be a string, a whole number, true or false"
    }


CLAIM_PATHS = [
    "audience_claim",
    "role_claim",
    "claims.consumer_id",
    "claims.account_name",
    "claims.user_name",
    "claims.email",
    "claims.image",
    "apideck.claim",
]
NO_POINTER = (
    "must be the name of a claim, or a JSON Pointer (RFC 6901), in which ~ is written as ~0"
)


def nested(path: str, value: Any) -> dict[str, Any]:
    """Return a value under a path of settings."""
    for name in reversed(path.split(".")):
        value = {name: value}
    return dict(value)


@pytest.mark.parametrize("setting", CLAIM_PATHS)
@pytest.mark.parametrize("path", ["/org~id", "/org~", "/a/~2"])
def test_a_claim_path_that_is_not_a_json_pointer_is_rejected(setting: str, path: str) -> None:
    """Otherwise, `check` would succeed, but every request would fail."""
    assert issuer_faults(**nested(setting, path)) == {setting: NO_POINTER}


@pytest.mark.parametrize("setting", CLAIM_PATHS)
@pytest.mark.parametrize("path", ["", "a" * 257])
def test_the_length_of_a_claim_path_is_limited(setting: str, path: str) -> None:
    """An empty path does not name a claim."""
    assert issuer_faults(**nested(setting, path)) == {setting: "must have 1 to 256 characters"}


@pytest.mark.parametrize("paths", [["org", "/a~b"], ["/~"]])
def test_each_of_several_claim_paths_is_checked(paths: list[str]) -> None:
    """Each path in a list is checked like a single path."""
    assert issuer_faults(claims={"consumer_id": paths}) == {"claims.consumer_id": NO_POINTER}
    assert NO_POINTER in issuer_faults(forbidden_claims=paths).values()
    assert NO_POINTER in issuer_faults(required_claims=dict.fromkeys(paths, "x")).values()


@pytest.mark.parametrize("paths", [[], ["a", "b", "c", "d", "e"]])
def test_a_consumer_id_has_one_to_four_claims(paths: list[str]) -> None:
    """An empty or longer list is rejected."""
    assert issuer_faults(claims={"consumer_id": paths}) == {
        "claims.consumer_id": "must be one claim, or a list of up to 4"
    }


@pytest.mark.parametrize("path", ["/", "//", "/~0~1", "/-", "/a/-", "/0", "~", "a/b~", "/é"])
@pytest.mark.parametrize("claims", [{}, {"a": "text"}, {"a": [1]}, {"": {"": 1}}, {"a": None}])
def test_a_claim_path_that_is_accepted_can_be_read(path: str, claims: dict[str, Any]) -> None:
    """Reading a path raises no exception for any claims."""
    IdentitySettings.model_validate({"issuers": {"main": {**ISSUER, "role_claim": path}}})

    claim(claims, path)


def test_the_error_for_an_invalid_claim_path_names_the_variable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The operator sees in one line which environment variable to correct."""
    for name, value in {
        "APIDECK__API_KEY": "sk_live_0123456789",
        "APIDECK__APP_ID": "app",
        "IDENTITY__ISSUERS__MAIN__ISSUER": "https://id.example.com",
        "IDENTITY__ISSUERS__MAIN__AUDIENCE": "vault-bff",
        "IDENTITY__ISSUERS__MAIN__CLAIMS__CONSUMER_ID": "/org~id",
    }.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(ConfigurationError) as error:
        load_settings()
    assert error.value.faults == (f"IDENTITY__ISSUERS__MAIN__CLAIMS__CONSUMER_ID: {NO_POINTER}",)


@pytest.mark.parametrize("pattern", ["", "a*b", "**", "a b", "é", "a\n", "a" * 257, "*a"])
def test_a_grant_that_cannot_match_is_rejected(pattern: str) -> None:
    """An asterisk is allowed only at the end, and a consumer id is printable ASCII."""
    [(setting, fault)] = issuer_faults(kind="services", grants={"job": ["acme", pattern]}).items()

    assert setting == "grants.job.1"
    assert fault.startswith("must be a consumer id")


@pytest.mark.parametrize("pattern", ["*", "a", "eu-*", "a" * 255, "~!"])
def test_a_grant_is_an_id_a_prefix_or_everything(pattern: str) -> None:
    """All three forms are accepted."""
    services = {**ISSUER, "kind": "services", "grants": {"job": [pattern]}}

    settings = IdentitySettings.model_validate({"issuers": {"main": services}})
    assert settings.issuers["main"].grants == {"job": (pattern,)}


@pytest.mark.parametrize("name", get_args(Algorithm))
def test_every_algorithm_that_can_be_configured_is_implemented(name: str) -> None:
    """Each algorithm has the same name in joserfc and in tokens."""
    assert signature_algorithms([name])[name].algorithm_type == "JWS"


@pytest.mark.parametrize(
    "name", ["accept", "content-type", "origin", "sec-fetch-site", "authorization", "cookie"]
)
def test_the_csrf_header_must_not_be_one_that_browsers_send(name: str) -> None:
    """Otherwise, a page of another origin would send it, and the check would have no effect."""
    with pytest.raises(ValidationError, match="do not send by themselves"):
        IdentitySettings.model_validate({"issuers": {"main": ISSUER}, "csrf_header": name})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a", "a"),
        ("a*", "a"),
        ("a*", "a*"),
        ("a*", "a.0"),
        ("aC1", "a*"),
        ("a_1*", "a*"),
        (["b", "a*"], ["a-99", "c"]),
    ],
)
def test_a_cookie_cannot_belong_to_two_sessions(one: object, other: object) -> None:
    """It would be unclear which application reads it; this applies to numbered cookies, too."""
    with pytest.raises(ValidationError, match="two sources use the same cookie"):
        _sessions(one, other)


def test_a_cookie_cannot_both_contain_a_token_and_belong_to_a_session() -> None:
    """Each cookie belongs to one source."""
    token = {**ISSUER, "consumer_prefix": "a-", "credential": {"cookie": "app.0"}}
    session = {"cookie": "app*", "whoami_url": "https://app.example/me", "consumer_prefix": "b-"}

    with pytest.raises(ValidationError, match="two sources use the same cookie"):
        IdentitySettings.model_validate(
            {"issuers": {"main": token}, "cookie_sessions": {"app": session}}
        )


@pytest.mark.parametrize(
    ("one", "other"),
    [("a", "a.0"), ("a*", "ab"), ("a*", "a.100"), ("a.*", "a*"), (["a", "b"], "c")],
)
def test_sessions_can_have_cookies_with_similar_names(one: object, other: object) -> None:
    """A name with an asterisk matches only numbered cookies."""
    assert len(_sessions(one, other).locations()) == 2


@pytest.mark.parametrize("cookie", ["", "a b", [], ["a", "b c"], ["a"] * 17])
def test_a_session_needs_one_to_sixteen_valid_cookie_names(cookie: object) -> None:
    """Other names and other numbers are rejected."""
    with pytest.raises(ValidationError):
        _sessions(cookie, "other")


def _sessions(one: object, other: object) -> IdentitySettings:
    """Return the settings of two applications with these cookies."""
    url = {"whoami_url": "https://app.example/me"}
    return IdentitySettings.model_validate(
        {
            "cookie_sessions": {
                "one": {"cookie": one, "consumer_prefix": "a-", **url},
                "other": {"cookie": other, "consumer_prefix": "b-", **url},
            }
        }
    )
