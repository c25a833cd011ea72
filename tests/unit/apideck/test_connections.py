from typing import Any

import pytest

from app.apideck.connections import (
    connection_path,
    list_query,
    read_list,
    read_one,
)
from app.apideck.wire import InvalidResponseError
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


def test_only_fields_that_are_safe_for_browsers_are_returned() -> None:
    """The attack: credentials in Apideck's response reach a page or a log."""
    assert read_list(response([connection()])) == [SAFE]
    assert read_one(response(connection()), "accounting", "quickbooks") == SAFE
    assert PLANTED not in str(read_list(response([connection()])))


def test_absent_and_null_fields_are_omitted() -> None:
    """The service adds no default values for them."""
    assert read_list(response([IDS, {**IDS, "name": None, "icon": None}])) == [IDS, IDS]


@pytest.mark.parametrize("field", ["state", "health", "integration_state", "status", "auth_type"])
def test_unknown_values_of_a_field_are_returned(field: str) -> None:
    """A state that Apideck adds later requires no release of this service."""
    assert read_list(response([{**IDS, field: "brand_new"}])) == [{**IDS, field: "brand_new"}]


@pytest.mark.parametrize("field", sorted(SAFE.keys() - IDS.keys()))
@pytest.mark.parametrize("value", [5.5, ["a"], {"a": "b"}])
def test_a_field_with_an_unexpected_type_is_omitted(field: str, value: Any) -> None:
    """One invalid field does not invalidate the list, and its value is not returned."""
    assert read_list(response([{**IDS, field: value}])) == [IDS]


@pytest.mark.parametrize(
    "fields", [{"enabled": "true"}, {"enabled": 1}, {"created_at": "1616662879423"}, {"state": 1}]
)
def test_values_are_not_converted(fields: dict[str, Any]) -> None:
    """A field has its documented type, or it is omitted."""
    assert read_list(response([{**IDS, **fields}])) == [IDS]
    assert read_one(response({**IDS, **fields}), "accounting", "quickbooks") == IDS


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
def test_urls_that_are_not_plain_https_are_omitted(field: str, url: str) -> None:
    """The attack: a link or an image runs a script, or is loaded without TLS."""
    assert read_list(response([{**IDS, field: url}])) == [IDS]


@pytest.mark.parametrize("name", ["unified_api", "service_id"])
@pytest.mark.parametrize("value", [*NOT_SEGMENTS, None, 5])
def test_a_connection_with_invalid_ids_is_omitted(name: str, value: Any) -> None:
    """The client could not open it; the other connections are returned."""
    assert read_list(response([{**IDS, name: value}, IDS])) == [IDS]
    with pytest.raises(InvalidResponseError):
        read_one(response({**IDS, name: value}), "accounting", "quickbooks")


def test_an_empty_list_is_valid() -> None:
    """A customer without connections is not an error."""
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
def test_a_response_that_does_not_match_the_documentation_is_invalid(body: bytes) -> None:
    """The error message quotes nothing from the response."""
    with pytest.raises(InvalidResponseError, match=r"^not of the documented form$"):
        read_list(body)
    with pytest.raises(InvalidResponseError, match=r"^not of the documented form$"):
        read_one(body, "accounting", "quickbooks")


@pytest.mark.parametrize("other", [{"unified_api": "crm"}, {"service_id": "xero"}])
def test_a_response_with_a_different_connection_is_invalid(other: dict[str, str]) -> None:
    """The attack: a cache between the service and Apideck mixes up two responses."""
    with pytest.raises(InvalidResponseError, match=r"^the response is a different connection$"):
        read_one(response({**IDS, **other}), "accounting", "quickbooks")


def test_a_path_identifies_one_connection() -> None:
    """Each of the two ids is one path segment."""
    assert connection_path("crm", "zoho-crm") == "/vault/connections/crm/zoho-crm"
    assert connection_path("file-storage", "101_x") == "/vault/connections/file-storage/101_x"


@pytest.mark.parametrize("segment", NOT_SEGMENTS)
def test_an_id_cannot_change_the_path_of_a_request(segment: str) -> None:
    """The attack: the caller makes the service use its API key for a different path."""
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
def test_the_query_contains_the_requested_filters(
    unified_api: str | None, configured: bool | None, expected: dict[str, str]
) -> None:
    """A filter that is not given is not sent, and Apideck does not filter by it."""
    assert list_query(unified_api, configured=configured) == expected
