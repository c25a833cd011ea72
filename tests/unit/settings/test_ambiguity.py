from typing import Any

import pytest
from pydantic import ValidationError

from app.settings import IdentitySettings
from app.settings.identity_source import IdentitySourceSettings

ENTRA = "https://login.microsoftonline.com/{tenantid}/v2.0"
KEYS = "https://login.microsoftonline.com/keys"


def identity(**issuers: dict[str, Any]) -> IdentitySettings:
    """Return settings with these issuers; the name of each is part of its URL."""
    entries = {
        name: {"issuer": f"https://{name}.example", "audience": "vault-bff", **more}
        for name, more in issuers.items()
    }
    return IdentitySettings.model_validate({"issuers": entries})


def fault(**issuers: dict[str, Any]) -> str:
    """Return the error message for settings with these issuers."""
    with pytest.raises(ValidationError) as error:
        identity(**issuers)
    [one] = error.value.errors()
    return one["msg"].removeprefix("Value error, ")


def reserved(settings: IdentitySettings) -> dict[str, tuple[str, ...]]:
    """Return the prefixes that the consumer ids of each source must not have."""
    sources = settings.sources_of(IdentitySourceSettings)  # type: ignore[type-abstract]
    return {one.name: one.reserved_prefixes for one in sources}


def test_by_default_sources_share_no_customers() -> None:
    """Each source needs a prefix, and no prefix may begin with another."""
    assert reserved(identity(a={"consumer_prefix": "a-"}, b={"consumer_prefix": "b-"})) == {
        "a": (),
        "b": (),
    }
    for a, b in (("", ""), ("", "b-"), ("b", "b-"), ("b-", "b-")):
        assert "needs a consumer_prefix" in fault(
            a={"consumer_prefix": a}, b={"consumer_prefix": b}
        )


@pytest.mark.parametrize("prefix", ["", "x-"])
def test_sources_with_the_same_consumer_space_share_customers(prefix: str) -> None:
    """They have the same prefix, or no prefix."""
    one = {"consumer_space": "crm", "consumer_prefix": prefix}

    assert reserved(identity(a=one, b=one)) == {"a": (), "b": ()}


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        ({"consumer_space": "crm"}, {}, "needs a consumer_prefix"),
        ({"consumer_space": "crm"}, {"consumer_space": "erp"}, "needs a consumer_prefix"),
        (
            {"consumer_space": "crm", "consumer_prefix": "b"},
            {"consumer_prefix": "b-"},
            "needs a consumer_prefix",
        ),
        (
            {"consumer_space": "crm"},
            {"consumer_space": "crm", "consumer_prefix": "b-"},
            "the same consumer_prefix",
        ),
        (
            {"consumer_space": "crm"},
            {"consumer_space": "crm", "claims": {"consumer_id": ["org", "sub"]}},
            "the same number of claims",
        ),
    ],
)
def test_sources_that_share_a_consumer_space_must_have_the_same_settings(
    a: dict[str, Any], b: dict[str, Any], message: str
) -> None:
    """Each source must set the space, with the same prefix and the same number of claims."""
    assert message in fault(a=a, b=b)
    assert message in fault(a=b, b=a)


def test_a_source_without_a_prefix_can_have_a_consumer_space_instead() -> None:
    """Its consumer ids must not begin with the prefixes of the other sources."""
    settings = identity(
        a={"consumer_space": "crm"},
        b={"consumer_space": "crm"},
        c={"consumer_prefix": "c-"},
        d={"consumer_prefix": "d-"},
        robots={"kind": "services", "grants": {"x": ["*"]}, "consumer_prefix": "r-"},
    )

    assert reserved(settings) == {
        "a": ("c-", "d-"),
        "b": ("c-", "d-"),
        "c": (),
        "d": (),
        "robots": (),
    }


def test_a_cookie_session_shares_customers_with_an_issuer() -> None:
    """The kinds of the sources do not matter."""
    settings = {
        "issuers": {"a": {"issuer": "https://a.example", "audience": "x", "consumer_space": "crm"}},
        "cookie_sessions": {
            "web": {
                "cookie": "sid",
                "whoami_url": "https://app.example/me",
                "consumer_space": "crm",
            }
        },
    }

    assert reserved(IdentitySettings.model_validate(settings)) == {"a": (), "web": ()}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"issuer": ["https://x.example", "https://y.example"]}, {"issuer": "https://y.example"}),
        (
            {"issuer": ENTRA, "jwks_uri": KEYS, "tenants": ["a"]},
            {"issuer": ENTRA, "jwks_uri": KEYS, "tenants": ["b"]},
        ),
        (
            {"issuer": ENTRA, "jwks_uri": KEYS, "tenants": ["a"]},
            {"issuer": ENTRA.replace("{tenantid}", "b")},
        ),
        (
            {"issuer": "https://x.example/{tenantid}/v2", "jwks_uri": KEYS, "tenants": ["a"]},
            {"issuer": "https://x.example/b/{tenantid}", "jwks_uri": KEYS, "tenants": ["c"]},
        ),
    ],
)
def test_two_issuers_that_accept_the_same_token_are_rejected(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    """They are accepted if their audiences differ."""
    one, other = {**one, "consumer_prefix": "o-"}, {**other, "consumer_prefix": "p-"}

    assert fault(one=one, other=other).startswith("two issuers")
    assert fault(one=other, other=one).startswith("two issuers")
    identity(one=one, other={**other, "audience": "another"})


@pytest.mark.parametrize(
    "other",
    [
        "https://x.example/{tenantid}",
        "https://x.example/{tenantid}/v1",
        "https://x.example/b%20c/{tenantid}",
        "https://y.example/{tenantid}/v2",
        "https://x.example/b/{tenantid}/v2",
    ],
)
def test_issuer_templates_that_cannot_match_the_same_iss_are_accepted(other: str) -> None:
    """They differ in the host, the number of segments, or a segment that is not a tenant."""
    more = {"jwks_uri": KEYS, "tenants": ["a"]}
    identity(
        one={"issuer": "https://x.example/{tenantid}/v2", "consumer_prefix": "o-", **more},
        other={"issuer": other, "consumer_prefix": "p-", **more},
    )


@pytest.mark.parametrize(
    ("credential", "kinds"),
    [
        ({}, ["authorization"]),
        ({"cookie": "spa"}, ["cookie"]),
        ({"header": "X-Assertion"}, ["header"]),
        ({"bearer": True, "cookie": "spa"}, ["authorization", "cookie"]),
        ({"header": "X-Assertion", "cookie": "spa"}, ["header", "cookie"]),
        ({"bearer": False, "cookie": "spa"}, ["cookie"]),
    ],
)
def test_tokens_of_one_issuer_can_be_in_several_locations(
    credential: dict[str, Any], kinds: list[str]
) -> None:
    """If another location is set, the Authorization header must be enabled explicitly."""
    locations = identity(a={"credential": credential}).issuers["a"].locations

    assert [one.kind for one in locations] == kinds


def test_an_issuer_without_a_location_is_rejected() -> None:
    """The service would never find its tokens."""
    assert fault(a={"credential": {"bearer": False}}) == "needs header or cookie if bearer is false"
