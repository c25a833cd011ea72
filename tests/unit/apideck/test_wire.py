import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from app.apideck import wire


def token(claims: Any = None) -> str:
    """Make a token of Apideck's shape that is signed by nobody."""
    payload = json.dumps({"exp": 1_800_000_000} if claims is None else claims).encode()
    return f"eyJh.{base64.urlsafe_b64encode(payload).rstrip(b'=').decode()}.c2ln"


def answer(**data: Any) -> bytes:
    """Make a 200 of Apideck's shape."""
    fields = {
        "session_uri": "https://vault.apideck.com/session/x",
        "session_token": token(),
        **data,
    }
    return json.dumps({"status_code": 200, "status": "OK", "data": fields, "_raw": None}).encode()


def test_nulls_of_the_free_part_are_sent_and_nothing_is_added() -> None:
    """The body is the Session, no more and no less."""
    body = wire.session_body(
        {"custom_consumer_settings": {"a": None}, "settings": {"show_logs": True}}
    )

    assert json.loads(body) == {
        "custom_consumer_settings": {"a": None},
        "settings": {"show_logs": True},
    }


def test_a_created_session_tells_where_and_until_when() -> None:
    """The end of the session is read from its token."""
    made = wire.created(answer())

    assert made.session_uri == "https://vault.apideck.com/session/x"
    assert made.session_token == token()
    assert made.expires_at == datetime(2027, 1, 15, 8, 0, tzinfo=UTC)
    assert made.consumer_id is None


def test_a_created_session_tells_whose_it_is() -> None:
    """Where its token does."""
    body = answer(session_token=token({"exp": 1_800_000_000, "consumer_id": "acme"}))

    assert wire.created(body).consumer_id == "acme"


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
        answer()[:-5],
        answer(session_uri=None),
        answer(session_uri=""),
        answer(session_token=5),
        answer(session_token="no-token"),
        answer(session_token="a.b.c\n"),
        answer(session_token="a.!.c"),
        answer(session_token="a.AAAAA.c"),
        answer(session_token=token({})),
        answer(session_token=token([])),
        answer(session_token=token({"exp": "1800000000"})),
        answer(session_token=token({"exp": True})),
        answer(session_token=token({"exp": 1_800_000_000, "consumer_id": None})),
        answer(session_token=token({"exp": -1})),
        answer(session_token=token({"exp": 10**15})),
    ],
)
def test_an_answer_of_another_form_is_refused_without_being_quoted(body: bytes) -> None:
    """Whatever is not as documented is one error, which holds nothing of the answer."""
    with pytest.raises(wire.InvalidAnswerError) as refused:
        wire.created(body)
    assert "eyJh" not in str(refused.value)


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
def test_a_failure_tells_its_name_and_the_fields_it_speaks_of(
    body: bytes, expected: tuple[str | None, frozenset[str]]
) -> None:
    """Of Apideck's text only its name for the error and known field names are kept."""
    assert wire.failure(body) == expected
