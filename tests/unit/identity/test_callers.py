from typing import Any

import pytest
from structlog.testing import capture_logs

from app.errors import MissingClaimError
from app.identity.claim_paths import claim
from app.identity.claims import lacks_display_data, service_of, usable_consumer_id, user_of
from app.identity.models import Caller
from app.settings import CookieSessionSettings, IssuerSettings
from tests.support.in_process import told


def issuer(**more: Any) -> IssuerSettings:
    """Return an issuer with these settings."""
    settings = {"issuer": "https://id.example", "audience": "vault-bff", **more}
    return IssuerSettings.model_validate(settings)


def test_a_user_is_everything_that_the_claims_say() -> None:
    """Each claim ends in its own place, and none in two."""
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


def test_an_application_makes_users_as_an_issuer_does() -> None:
    """Who acts for nobody has no actor, and the one Unify app is the configured one."""
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


def test_a_service_has_its_grant_and_no_consumer() -> None:
    """A service that was granted nothing may nothing."""
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
def test_an_application_that_is_not_allowed_is_nobodys(value: Any) -> None:
    """The caller reads which claim it is; the operator, what is wrong with it."""
    settings = issuer(apideck={"claim": "region", "allowed": ["eu"]})

    for claims in ({"sub": "ada", "region": value}, {"sub": "ada"}):
        with pytest.raises(MissingClaimError) as error:
            user_of("main", settings, claims, {})
        assert told(error.value) == (
            "Your sign-in has no usable claim region, which says where your connections are kept.",
            "the claim region names none of the allowed Unify apps",
        )


def test_a_claim_that_makes_no_id_is_named_to_both() -> None:
    """Missing and unusable are two messages; all of the claims that make the id are named."""
    with pytest.raises(MissingClaimError) as missing:
        user_of("main", issuer(claims={"consumer_id": "/org/id"}), {"sub": "ada", "org": {}}, {})
    settings = issuer(claims={"consumer_id": ["org", "sub"]}, consumer_prefix="eu-")
    with pytest.raises(MissingClaimError) as unusable:
        user_of("main", settings, {"sub": "a" * 200, "org": "b" * 52}, {})

    assert missing.value.reason == "missing claim /org/id"
    assert missing.value.detail == (
        "Your sign-in lacks the claim /org/id, which says whose connections to open. "
        "Sign in to an account or organisation that has it."
    )
    assert unusable.value.reason == "unusable claim org with sub"
    assert unusable.value.detail == (
        "The claim org with sub cannot be a consumer id: it must be 1 to 255 printable ASCII "
        "characters without spaces."
    )


def test_an_id_of_several_claims_is_percent_encoded_and_of_one_is_not() -> None:
    """A slash is encoded, too: it must not become part of a path."""
    both = issuer(claims={"consumer_id": ["org", "sub"]})
    claims = {"sub": "a/b", "org": 7}

    assert user_of("main", both, claims, {}).consumer_id == "7:a%2Fb"
    assert user_of("main", issuer(), claims, {}).consumer_id == "a/b"


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
    """Every string that can stand in a header as it is, and no other."""
    assert usable_consumer_id(value) is usable


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
def test_a_token_lacks_what_is_configured_and_not_in_it(
    paths: dict[str, Any], claims: dict[str, Any], *, lacks: bool
) -> None:
    """Name, e-mail and picture are what UserInfo may be asked for; the account's name is not."""
    assert lacks_display_data(issuer(claims=paths), claims) is lacks


def test_what_the_token_says_comes_before_what_else_is_known() -> None:
    """The other source only fills gaps; an empty string is a gap."""
    more = {"name": "Countess", "email": "b@x.example", "picture": ""}
    made = user_of("main", issuer(), {"sub": "ada", "name": "Ada", "email": ""}, more)

    assert made.consumer_metadata == {"user_name": "Ada", "email": "b@x.example"}


def test_an_unusable_claim_is_replaced_by_userinfo() -> None:
    """The operator reads which claim of the token is unusable."""
    with capture_logs() as logs:
        made = user_of("main", issuer(), {"sub": "ada", "name": 5}, {"name": "Ada"})

    assert made.consumer_metadata == {"user_name": "Ada"}
    assert [line["claim"] for line in logs] == ["name"]


@pytest.mark.parametrize("value", ["", None])
def test_what_is_empty_is_left_out_without_a_word(value: str | None) -> None:
    """Many issuers send an empty name for a person who has none."""
    with capture_logs() as logs:
        made = user_of("main", issuer(), {"sub": "ada", "name": value}, {"name": value})

    assert made.consumer_metadata == {}
    assert logs == []


def test_what_cannot_be_shown_is_logged_and_spoils_nothing_else() -> None:
    """The operator reads whose claim was left out of which field, and nothing of its value."""
    with capture_logs() as logs:
        made = user_of("main", issuer(), {"sub": "ada", "name": 5, "email": "a@x.example"}, {})

    assert made.consumer_metadata == {"email": "a@x.example"}
    assert logs == [
        {
            "event": "claim_left_out",
            "log_level": "info",
            "issuer": "main",
            "claim": "name",
            "field": "user_name",
        }
    ]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("a", {"b": ["x", "y"]}),
        ("/a/b/1", "y"),
        ("a/b", "slash"),
        ("/a/c", None),
        ("/a/b/2", None),
        ("/a/b/x", None),
        ("/a/b/-", None),
        ("/a/b/0/0", None),
        ("b", None),
    ],
)
def test_a_path_leads_to_one_claim_or_to_none(path: str, value: Any) -> None:
    """A slash at the beginning makes it a pointer; elsewhere it is part of the name."""
    assert claim({"a": {"b": ["x", "y"]}, "a/b": "slash"}, path) == value


@pytest.mark.parametrize(
    ("grant", "consumer", "covered"),
    [
        ((), "acme", False),
        (("acme",), "acme", True),
        (("acme",), "acme2", False),
        (("acme",), "acm", False),
        (("eu-*",), "eu-acme", True),
        (("eu-*",), "eu-", True),
        (("eu-*",), "eu", False),
        (("eu-*",), "us-eu-acme", False),
        (("eu-*",), "eu-*", True),
        (("*",), "anything", True),
        (("acme", "eu-*"), "eu-acme", True),
        (("ACME",), "acme", False),
    ],
)
def test_a_grant_covers_exact_ids_and_prefixes(
    grant: tuple[str, ...], consumer: str, *, covered: bool
) -> None:
    """An asterisk at the end stands for whatever follows; anything else for itself."""
    service = Caller("service", "jobs", "job", None, grant=grant)

    assert service.may_mint_for(consumer) is covered


def test_a_callers_identity_is_all_that_tells_it_from_others() -> None:
    """Who acts for a person is somebody else than the person; what is shown of them is not."""
    ada = Caller("user", "main", "ada", "acme", {"user_name": "Ada"}, actor="help")

    assert ada.identity == ("user", "main", "ada", "help")
    assert "Ada" not in repr(ada)
