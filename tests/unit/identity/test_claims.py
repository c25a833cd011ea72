from typing import Any

import pytest
from structlog.testing import capture_logs

from app.errors import MissingClaimError
from app.identity.claims import user_of
from app.identity.models import Caller
from app.settings import ClaimPaths, IssuerSettings


def caller(
    claims: dict[str, Any], prefix: str = "", **paths: str | tuple[str, ...] | None
) -> Caller:
    """Map claims by these paths."""
    issuer = IssuerSettings(
        issuer="https://id.example.com",
        audience="vault-bff",
        consumer_prefix=prefix,
        claims=ClaimPaths.model_validate(paths),
    )
    return user_of("main", issuer, {"sub": "ada", **claims}, {})


def test_by_default_every_person_is_their_own_consumer() -> None:
    """Without a mapping the subject is the consumer, and standard claims are shown."""
    made = caller(
        {"name": "Ada Lovelace", "email": "ada@x.example", "picture": "https://x.example/a"}
    )

    assert (made.kind, made.issuer, made.subject, made.consumer_id) == (
        "user",
        "main",
        "ada",
        "ada",
    )
    assert made.consumer_metadata == {
        "user_name": "Ada Lovelace",
        "email": "ada@x.example",
        "image": "https://x.example/a",
    }


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
    """A path is a claim's name, or a pointer when it begins with a slash."""
    assert caller(claims, consumer_id=path).consumer_id == "acme"


def test_a_whole_number_is_a_usable_tenant_id() -> None:
    """Many applications number their tenants."""
    assert caller({"tenant": 42}, consumer_id="tenant").consumer_id == "42"


@pytest.mark.parametrize("value", [None, "", True, 1.5, [], ["acme"], {"id": "acme"}])
def test_a_missing_tenant_claim_is_named(value: Any) -> None:
    """There is no weaker claim to fall back to; the caller is told which one is missing."""
    with pytest.raises(MissingClaimError, match="org_id"):
        caller({"org_id": value}, consumer_id="org_id")


@pytest.mark.parametrize(
    "value", ["a b", " a", "a\r\nx-apideck-app-id: evil", "a\x00", "ä", "a\x7f", "a" * 256]
)
def test_a_tenant_that_cannot_stand_in_a_header_is_refused(value: str) -> None:
    """Control characters, spaces, non-ASCII and overlong ids never reach a header."""
    with pytest.raises(MissingClaimError, match="org_id"):
        caller({"org_id": value}, consumer_id="org_id")


def test_several_claims_make_one_id_without_ambiguity() -> None:
    """Two different pairs never make the same consumer, whatever separators they hold."""
    paths = ("org", "sub")
    one = caller({"org": "a:b", "sub": "c"}, consumer_id=paths)
    other = caller({"org": "a", "sub": "b:c"}, consumer_id=paths)

    assert one.consumer_id == "a%3Ab:c"
    assert other.consumer_id == "a:b%3Ac"


def test_the_prefix_of_the_issuer_comes_first() -> None:
    """Equal claims of two issuers are two consumers."""
    assert caller({}, prefix="eu-").consumer_id == "eu-ada"


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
def test_display_data_that_cannot_be_shown_is_left_out(claim: str, value: Any) -> None:
    """A strange picture is no reason to refuse a person; the log names the claim, not its value."""
    with capture_logs() as logs:
        made = caller({claim: value})

    assert made.consumer_metadata == {}
    assert [(line["event"], line["claim"]) for line in logs] == [("claim_left_out", claim)]
    assert str(value) not in str(logs)


def test_a_path_that_is_switched_off_is_not_read() -> None:
    """An operator can keep a claim from Apideck."""
    assert caller({"email": "ada@x.example"}, email=None).consumer_metadata == {}
