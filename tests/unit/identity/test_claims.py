from typing import Any

import pytest
from structlog.testing import capture_logs

from app.errors import MissingClaimError
from app.identity.claims import lacks_display_data, service_of, usable_consumer_id, user_of
from app.identity.models import Caller
from app.settings import CookieSessionSettings, IssuerSettings
from tests.support.in_process import messages


def issuer(**more: Any) -> IssuerSettings:
    """Return an issuer with these settings."""
    settings = {"issuer": "https://id.example", "audience": "vault-bff", **more}
    return IssuerSettings.model_validate(settings)


def user(claims: dict[str, Any], prefix: str = "", **paths: Any) -> Caller:
    """Return the user that claims describe, with these paths in the settings."""
    settings = issuer(consumer_prefix=prefix, claims=paths)
    return user_of("main", settings, {"sub": "ada", **claims}, {})


def test_by_default_every_user_is_a_consumer() -> None:
    """Without a mapping, the subject is the consumer id, and standard claims are display data."""
    result = user(
        {"name": "Ada Lovelace", "email": "ada@x.example", "picture": "https://x.example/a"}
    )

    assert (result.kind, result.issuer, result.subject, result.consumer_id) == (
        "user",
        "main",
        "ada",
        "ada",
    )
    assert result.consumer_metadata == {
        "user_name": "Ada Lovelace",
        "email": "ada@x.example",
        "image": "https://x.example/a",
    }


def test_each_claim_becomes_one_attribute_of_a_user() -> None:
    """Consumer id, display data, actor and Unify app come from the configured claims."""
    settings = issuer(
        consumer_prefix="eu-",
        claims={"consumer_id": "org", "account_name": "firm"},
        apideck={"claim": "region", "allowed": ["eu", "us"]},
    )
    claims = {"sub": "ada", "org": "acme", "firm": "Acme", "region": "us", "act": {"sub": "help"}}

    assert user_of("main", settings, claims, {"name": "Ada"}) == Caller(
        kind="user",
        issuer="main",
        subject="ada",
        consumer_id="eu-acme",
        consumer_metadata={"account_name": "Acme", "user_name": "Ada"},
        actor="help",
        unify_app="us",
    )


def test_a_cookie_session_identifies_users_as_an_issuer_does() -> None:
    """Without an `act`, there is no actor, and the Unify app is the configured one."""
    settings = CookieSessionSettings.model_validate(
        {
            "cookie": "sid",
            "whoami_url": "https://app.example/me",
            "apideck": {"unify_app": "eu"},
        }
    )

    assert user_of("shop", settings, {"sub": "ada"}, {}) == Caller(
        kind="user", issuer="shop", subject="ada", consumer_id="ada", unify_app="eu"
    )


def test_a_service_has_a_grant_and_no_consumer() -> None:
    """A service without an entry in the grants has an empty grant."""
    settings = issuer(
        kind="services",
        grants={"job": ("eu-*", "acme")},
        apideck={"claim": "region", "allowed": ["eu"]},
    )
    claims = {"sub": "job", "region": "eu"}

    assert service_of("jobs", settings, claims) == Caller(
        kind="service",
        issuer="jobs",
        subject="job",
        consumer_id=None,
        unify_app="eu",
        grant=("eu-*", "acme"),
    )
    assert service_of("jobs", settings, {**claims, "sub": "other"}).grant == ()


@pytest.mark.parametrize("value", [None, "", "asia", 5, ["eu"], {}])
def test_a_unify_app_that_is_not_allowed_is_rejected(value: Any) -> None:
    """Both messages name the claim."""
    settings = issuer(apideck={"claim": "region", "allowed": ["eu"]})

    for claims in ({"sub": "ada", "region": value}, {"sub": "ada"}):
        with pytest.raises(MissingClaimError) as error:
            user_of("main", settings, claims, {})
        assert messages(error.value) == (
            "Your account has no usable region, which selects where your connections are.",
            "the claim region names none of the allowed Unify apps: expected 'eu'",
        )


@pytest.mark.parametrize(
    ("path", "claims"),
    [
        ("org_id", {"org_id": "acme"}),
        ("/org/id", {"org": {"id": "acme"}}),
        ("https://x.example/org", {"https://x.example/org": "acme"}),
        ("/https:~1~1x.example~1org/id", {"https://x.example/org": {"id": "acme"}}),
        ("/orgs/0", {"orgs": ["acme", "globex"]}),
    ],
)
def test_a_claim_is_found_by_name_or_by_json_pointer(path: str, claims: dict[str, Any]) -> None:
    """A path is a JSON Pointer if it begins with a slash, and the name of a claim otherwise."""
    assert user(claims, consumer_id=path).consumer_id == "acme"


def test_an_integer_is_a_usable_tenant_id() -> None:
    """Many applications number their tenants."""
    assert user({"tenant": 42}, consumer_id="tenant").consumer_id == "42"


@pytest.mark.parametrize("value", [None, "", True, 1.5, [], ["acme"], {"id": "acme"}])
def test_a_missing_tenant_claim_is_named(value: Any) -> None:
    """No other claim is used instead, and the caller's message names the claim."""
    with pytest.raises(MissingClaimError, match="org_id"):
        user({"org_id": value}, consumer_id="org_id")


@pytest.mark.parametrize(
    "value", ["a b", " a", "a\r\nx-apideck-app-id: evil", "a\x00", "ä", "a\x7f", "a" * 256]
)
def test_a_tenant_id_that_is_not_valid_in_a_header_is_rejected(value: str) -> None:
    """This includes control characters, spaces, non-ASCII characters and ids that are too long."""
    with pytest.raises(MissingClaimError, match="org_id"):
        user({"org_id": value}, consumer_id="org_id")


def test_both_messages_name_the_claims_of_an_unusable_id() -> None:
    """A missing claim and an unusable one have different messages."""
    with pytest.raises(MissingClaimError) as missing:
        user({"org": {}}, consumer_id="/org/id")
    with pytest.raises(MissingClaimError) as unusable:
        user({"sub": "a" * 200, "org": "b" * 52}, prefix="eu-", consumer_id=["org", "sub"])

    assert missing.value.reason == "missing claim /org/id: present are 'org', 'sub'"
    assert missing.value.detail == (
        "Your account has no /org/id, which selects whose connections to open. "
        "Sign in with an account or organization that has it."
    )
    assert unusable.value.reason == "unusable claim org with sub"
    assert unusable.value.detail == (
        "Your account cannot be used here: org with sub must be 1 to 255 printable ASCII "
        "characters without spaces."
    )


def test_several_claims_are_combined_into_one_unambiguous_id() -> None:
    """Two different pairs never result in the same id, even if they contain separators."""
    one = user({"org": "a:b", "sub": "c"}, consumer_id=["org", "sub"])
    other = user({"org": "a", "sub": "b:c"}, consumer_id=["org", "sub"])

    assert one.consumer_id == "a%3Ab:c"
    assert other.consumer_id == "a:b%3Ac"


def test_only_an_id_of_several_claims_is_percent_encoded() -> None:
    """A slash is encoded, too, so that it cannot become part of a path."""
    claims = {"sub": "a/b", "org": 7}

    assert user(claims, consumer_id=["org", "sub"]).consumer_id == "7:a%2Fb"
    assert user(claims).consumer_id == "a/b"


def test_a_consumer_id_begins_with_the_prefix_of_its_source() -> None:
    """Equal claims of two issuers identify two consumers."""
    assert user({}, prefix="eu-").consumer_id == "eu-ada"


@pytest.mark.parametrize(
    ("value", "usable"),
    [
        ("!", True),
        ("~", True),
        ("a" * 255, True),
        ("", False),
        ("a" * 256, False),
        (" ", False),
        ("\x7f", False),
        ("a\n", False),
    ],
)
def test_a_consumer_id_is_printable_ascii(value: str, *, usable: bool) -> None:
    """Only strings that are valid in a header without changes are accepted."""
    assert usable_consumer_id(value) is usable


@pytest.mark.parametrize(
    ("claim", "value"),
    [
        ("name", 5),
        ("name", "x" * 300),
        ("email", "a\r\nb"),
        ("picture", "data:image/png;base64,xxxx"),
        ("picture", "http://x.example/a"),
    ],
)
def test_unusable_display_data_is_omitted(claim: str, value: Any) -> None:
    """The user is not rejected; the log has the name of the claim, but not its value."""
    with capture_logs() as logs:
        result = user({claim: value})

    assert result.consumer_metadata == {}
    assert [(line["event"], line["claim"]) for line in logs] == [("claim_left_out", claim)]
    assert str(value) not in str(logs)


def test_unusable_display_data_affects_no_other_field() -> None:
    """The log event has the issuer, the claim and the field."""
    with capture_logs() as logs:
        result = user({"name": 5, "email": "a@x.example"})

    assert result.consumer_metadata == {"email": "a@x.example"}
    assert logs == [
        {
            "event": "claim_left_out",
            "log_level": "info",
            "issuer": "main",
            "claim": "name",
            "field": "user_name",
        }
    ]


@pytest.mark.parametrize("value", ["", None])
def test_empty_display_data_is_omitted_without_a_log_event(value: str | None) -> None:
    """Many issuers send an empty name for a user without a name."""
    with capture_logs() as logs:
        result = user_of("main", issuer(), {"sub": "ada", "name": value}, {"name": value})

    assert result.consumer_metadata == {}
    assert logs == []


def test_a_path_of_null_is_not_read() -> None:
    """An operator can decide not to send a claim to Apideck."""
    assert user({"email": "ada@x.example"}, email=None).consumer_metadata == {}


def test_claims_of_the_token_take_precedence_over_userinfo() -> None:
    """UserInfo only fills in missing and empty claims."""
    more = {"name": "Countess", "email": "b@x.example", "picture": ""}
    result = user_of("main", issuer(), {"sub": "ada", "name": "Ada", "email": ""}, more)

    assert result.consumer_metadata == {"user_name": "Ada", "email": "b@x.example"}


def test_an_unusable_claim_is_replaced_by_userinfo() -> None:
    """The log names the unusable claim of the token."""
    with capture_logs() as logs:
        result = user_of("main", issuer(), {"sub": "ada", "name": 5}, {"name": "Ada"})

    assert result.consumer_metadata == {"user_name": "Ada"}
    assert [line["claim"] for line in logs] == ["name"]


@pytest.mark.parametrize(
    ("paths", "claims", "lacks"),
    [
        ({}, {"name": "Ada", "email": "a@x.example", "picture": "https://x.example/a"}, False),
        ({}, {"email": "a@x.example", "picture": "https://x.example/a"}, True),
        ({}, {"name": "Ada", "picture": "https://x.example/a"}, True),
        ({}, {"name": "Ada", "email": "a@x.example"}, True),
        ({"user_name": None, "email": None, "image": None}, {}, False),
        ({"user_name": "/a/b", "email": None, "image": None}, {"a": {"b": "Ada"}}, False),
        ({"email": None, "image": None}, {"name": ""}, True),
        ({"email": None, "image": None}, {"name": None}, True),
        ({"email": None, "image": None}, {"name": 5}, True),
        ({"email": None, "image": None}, {"name": "A\nB"}, True),
        ({"user_name": None, "email": None}, {"picture": "http://x.example"}, True),
        (
            {"user_name": None, "email": None, "account_name": "firm"},
            {"picture": "https://x.example"},
            False,
        ),
    ],
)
def test_a_token_lacks_configured_display_data_that_is_missing_or_unusable(
    paths: dict[str, Any], claims: dict[str, Any], *, lacks: bool
) -> None:
    """The name, email address and picture are checked; UserInfo has no account name."""
    assert lacks_display_data(issuer(claims=paths), claims) is lacks


@pytest.mark.parametrize(
    ("org_id", "accepted"),
    [("acme", True), ("b", True), ("B-acme", True), ("ab-", True), ("b-", False), ("b-x", False)],
)
def test_an_id_that_begins_with_the_prefix_of_another_source_is_rejected(
    org_id: str, *, accepted: bool
) -> None:
    """The id would be a consumer of that source; neither message contains the id."""
    settings = issuer(claims={"consumer_id": "org_id"})
    claims = {"sub": "ada", "org_id": org_id}
    if accepted:
        assert user_of("main", settings, claims, {}, ("b-", "c-")).consumer_id == org_id
        return
    with pytest.raises(MissingClaimError) as error:
        user_of("main", settings, claims, {}, ("b-", "c-"))

    assert messages(error.value) == (
        "Your account cannot be used here: its org_id begins with reserved characters.",
        (
            "the claim org_id begins with the consumer_prefix of another source: "
            "expected none of 'b-' or 'c-'"
        ),
    )
    assert error.value.subject == "ada"
