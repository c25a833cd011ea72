from typing import Any

import pytest

from app.apideck.connections import (
    InvalidConnectionsError,
    connection_path,
    list_query,
    read_list,
    read_one,
)
from tests.support.apideck_connections import PLANTED, SAFE, connection, response

IDS = {"unified_api": "accounting", "service_id": "quickbooks"}
NOT_SEGMENTS = [
    "",
    ".",
    "..",
    "../sessions",
    "..%2fsessions",
    "%2e%2e",
    "a/b",
    "a\\b",
    "a?b",
    "a#b",
    "a;b",
    "a b",
    "a\n",
    "a\x00",
    "A",
    "ä",
    "\uff41",
    "-a",
    "a" * 65,
]


def test_only_fields_that_a_browser_may_see_leave() -> None:
    """The attack: credentials in Apideck's response reach a page, or a log."""
    assert read_list(response([connection()])) == [SAFE]
    assert read_one(response(connection()), "accounting", "quickbooks") == SAFE
    assert PLANTED not in str(read_list(response([connection()])))


def test_a_connection_without_optional_fields_has_none() -> None:
    """An absent field and a null are left out, not invented."""
    assert read_list(response([IDS, {**IDS, "name": None, "icon": None}])) == [IDS, IDS]


@pytest.mark.parametrize("field", ["state", "health", "integration_state", "status", "auth_type"])
def test_values_that_apideck_adds_later_pass(field: str) -> None:
    """A new state needs no release of this service."""
    assert read_list(response([{**IDS, field: "brand_new"}])) == [{**IDS, field: "brand_new"}]


@pytest.mark.parametrize("field", sorted(SAFE.keys() - IDS.keys()))
@pytest.mark.parametrize("value", [5.5, ["a"], {"a": "b"}])
def test_a_field_of_another_type_is_left_out(field: str, value: Any) -> None:
    """One odd field does not cost the page its list, and nothing hides in it."""
    assert read_list(response([{**IDS, field: value}])) == [IDS]


@pytest.mark.parametrize(
    "odd", [{"enabled": "true"}, {"enabled": 1}, {"created_at": "1616662879423"}, {"state": 1}]
)
def test_values_are_not_converted(odd: dict[str, Any]) -> None:
    """A page gets the documented types, or nothing."""
    assert read_list(response([{**IDS, **odd}])) == [IDS]
    assert read_one(response({**IDS, **odd}), "accounting", "quickbooks") == IDS


@pytest.mark.parametrize("field", ["website", "icon", "logo"])
@pytest.mark.parametrize(
    "url",
    [
        "http://res.example.com/icon.png",
        "http://127.0.0.1/icon.png",
        "javascript:alert(1)",
        "data:image/svg+xml,<svg/>",
        "//res.example.com/icon.png",
        "/icon.png",
        "https://user:pw@res.example.com/icon.png",
        "https://res.example.com/icon.png#x",
        "https://res.example.com/\nicon.png",
        "HTTPS://res.example.com/icon.png",
        "",
    ],
)
def test_urls_that_are_not_plain_https_are_left_out(field: str, url: str) -> None:
    """The attack: a link or picture that runs script, or is loaded without TLS."""
    assert read_list(response([{**IDS, field: url}])) == [IDS]


@pytest.mark.parametrize("name", ["unified_api", "service_id"])
@pytest.mark.parametrize("value", [*NOT_SEGMENTS, None, 5])
def test_a_connection_without_usable_ids_is_left_out(name: str, value: Any) -> None:
    """It could not be opened, and the others can."""
    assert read_list(response([{**IDS, name: value}, IDS])) == [IDS]
    with pytest.raises(InvalidConnectionsError):
        read_one(response({**IDS, name: value}), "accounting", "quickbooks")


def test_a_customer_who_was_never_seen_has_an_empty_list() -> None:
    """That is no error."""
    assert read_list(response([])) == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"{}",
        b'{"data":null}',
        b'{"data":{}}',
        b'{"data":"a"}',
        b'{"data":' + b"[" * 10_000,
        b"\xff",
        b"<html></html>",
    ],
)
def test_a_response_of_another_form_is_invalid(body: bytes) -> None:
    """The message says nothing of what was in it."""
    with pytest.raises(InvalidConnectionsError, match=r"^not of the documented form$"):
        read_list(body)
    with pytest.raises(InvalidConnectionsError, match=r"^not of the documented form$"):
        read_one(body, "accounting", "quickbooks")


@pytest.mark.parametrize("other", [{"unified_api": "crm"}, {"service_id": "xero"}])
def test_another_connection_than_was_asked_for_is_invalid(other: dict[str, str]) -> None:
    """The attack: a cache in between mixes up two responses."""
    with pytest.raises(InvalidConnectionsError, match=r"^another connection than was asked for$"):
        read_one(response({**IDS, **other}), "accounting", "quickbooks")


def test_a_path_names_one_connection() -> None:
    """Both ids are segments of their own."""
    assert connection_path("crm", "zoho-crm") == "/vault/connections/crm/zoho-crm"
    assert connection_path("file-storage", "101_x") == "/vault/connections/file-storage/101_x"


@pytest.mark.parametrize("segment", NOT_SEGMENTS)
def test_no_segment_leads_to_another_path_of_apideck(segment: str) -> None:
    """The attack: the service's key is used for a path that the caller chose."""
    with pytest.raises(ValueError, match=r"^not of the grammar of Apideck's ids$"):
        connection_path(segment, "quickbooks")
    with pytest.raises(ValueError, match=r"^not of the grammar of Apideck's ids$"):
        connection_path("accounting", segment)
    with pytest.raises(ValueError, match=r"^not of the grammar of Apideck's ids$"):
        list_query(segment, configured=None)


@pytest.mark.parametrize(
    ("unified_api", "configured", "expected"),
    [
        (None, None, {}),
        ("crm", None, {"api": "crm"}),
        (None, True, {"configured": "true"}),
        ("crm", False, {"api": "crm", "configured": "false"}),
    ],
)
def test_a_query_holds_what_was_asked_for(
    unified_api: str | None, configured: bool | None, expected: dict[str, str]
) -> None:
    """What was not given is not sent: it means all."""
    assert list_query(unified_api, configured=configured) == expected
