import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from app.apideck import wire


def token(claims: Any = None) -> str:
    """Return a token with the structure of Apideck's, without a valid signature."""
    payload = json.dumps({"exp": 1_800_000_000} if claims is None else claims).encode()
    return f"eyJh.{base64.urlsafe_b64encode(payload).rstrip(b'=').decode()}.c2ln"


def response(**data: Any) -> bytes:
    """Return the body of a 200."""
    fields = {
        "session_uri": "https://vault.apideck.com/session/x",
        "session_token": token(),
        **data,
    }
    return json.dumps({"status_code": 200, "status": "OK", "data": fields, "_raw": None}).encode()


def test_the_request_body_keeps_nulls_and_adds_no_fields() -> None:
    """The body contains exactly the fields of the session."""
    body = wire.session_body(
        {"custom_consumer_settings": {"a": None}, "settings": {"show_logs": True}}
    )

    assert json.loads(body) == {
        "custom_consumer_settings": {"a": None},
        "settings": {"show_logs": True},
    }


def test_a_created_session_has_a_url_and_an_expiry() -> None:
    """The expiry comes from the token."""
    session = wire.created_session(response())

    assert session.session_uri == "https://vault.apideck.com/session/x"
    assert session.session_token == token()
    assert session.expires_at == datetime(2027, 1, 15, 8, 0, tzinfo=UTC)
    assert session.consumer_id is None


def test_a_created_session_has_the_id_of_its_consumer() -> None:
    """The id comes from the token."""
    body = response(session_token=token({"exp": 1_800_000_000, "consumer_id": "acme"}))

    assert wire.created_session(body).consumer_id == "acme"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"data": null}',
        b'{"data": {}}',
        b"<html>",
        response()[:-5],
        response(session_uri=None),
        response(session_uri=""),
        response(session_token=5),
        response(session_token="no-token"),
        response(session_token="a.b.c\n"),
        response(session_token="a.!.c"),
        response(session_token="a.AAAAA.c"),
        response(session_token=token({})),
        response(session_token=token([])),
        response(session_token=token({"exp": "1800000000"})),
        response(session_token=token({"exp": True})),
        response(session_token=token({"exp": 1_800_000_000, "consumer_id": None})),
        response(session_token=token({"exp": -1})),
        response(session_token=token({"exp": 10**15})),
    ],
)
def test_an_invalid_response_is_rejected_without_being_quoted(body: bytes) -> None:
    """Every deviation from the documentation raises the same error, which quotes nothing."""
    with pytest.raises(wire.InvalidResponseError) as rejected:
        wire.created_session(body)
    assert "eyJh" not in str(rejected.value)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", (None, frozenset())),
        (b"[]", (None, frozenset())),
        (b'{"type_name": 5}', (None, frozenset())),
        (b'{"type_name": "x y"}', (None, frozenset())),
        (
            b'{"type_name": "RequestValidationError", "detail": {"theme": {"logo": ["bad"]}}}',
            ("RequestValidationError", frozenset({"/theme/logo"})),
        ),
        (
            b'{"type_name": "A", "message": "redirect_uri is not registered", "detail": ""}',
            ("A", frozenset({"/redirect_uri"})),
        ),
        (b'{"type_name": "A", "detail": "settings is malformed"}', ("A", frozenset({"/settings"}))),
    ],
)
def test_an_error_has_its_name_and_the_fields_that_it_mentions(
    body: bytes, expected: tuple[str | None, frozenset[str]]
) -> None:
    """Only Apideck's name of the error and known field names are kept."""
    assert wire.error_response(body) == expected
