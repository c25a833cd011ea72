"""Any response of Apideck is a session of the documented form, or one error."""

import json
import re
from base64 import urlsafe_b64encode
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from app.apideck import wire
from app.apideck.error_mapping import error_of
from app.common import strict_json
from app.errors import ApideckError, ApideckRejectedRequestError
from app.vault import Session

json_values = st.recursive(
    # With lone surrogates, which JSON can escape and UTF-8 cannot encode.
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=[])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
claims = st.dictionaries(st.sampled_from(["exp", "iat", "x"]), json_values, max_size=2)
payloads = claims.map(
    lambda made: urlsafe_b64encode(json.dumps(made).encode()).rstrip(b"=").decode()
)
tokens = st.tuples(
    st.sampled_from(["e30.{}.x", "{}", "e30.{}", "/.{}.x", "a.b.{}.d"]), payloads
).map(lambda made: made[0].format(made[1]))
responses = st.fixed_dictionaries(
    {
        "data": json_values
        | st.fixed_dictionaries(
            {},
            optional={
                "session_uri": st.sampled_from(["https://vault.apideck.com/x", ""]) | json_values,
                "session_token": tokens | json_values,
            },
        )
    }
)
words = st.sampled_from(
    ["redirect_uri", "theme", "logo", "settings", "email", "is too large", ".", '"', "x" * 80]
)
failures = st.fixed_dictionaries(
    {},
    optional={
        "type_name": st.sampled_from(["RequestValidationError", "a b", "é"]) | json_values,
        "message": st.lists(words).map(" ".join) | json_values,
        "detail": st.dictionaries(words, words) | json_values,
    },
)
dates = st.tuples(
    st.sampled_from(["Wed", "Xyz", ""]),
    st.integers(0, 40),
    st.sampled_from(["Oct", "Feb", "Nope"]),
    st.integers(0, 99_999) | st.integers(2**31, 2**70),
    st.integers(0, 30),
    st.sampled_from(["GMT", "+9999", "-0000", "EST", ""]),
).map(lambda d: f"{d[0]}, {d[1]} {d[2]} {d[3]} {d[4]}:00:00 {d[5]}")


@given(body=st.binary() | responses.map(json.dumps).map(str.encode))
@example(body=b'{"data":{"session_uri":"x","session_token":"e30.eyJleHAiOjI1MzQwMjMwMDc5OX0.x"}}')
@example(body=b'{"data":{"session_uri":"x","session_token":"e30.eyJleHAiOjI1MzQwMjMwMDgwMH0.x"}}')
@example(body=b'{"data":{"session_uri":"","session_token":"e30.eyJleHAiOjI1MzQwMjMwMDc5OX0.x"}}')
@example(body=b'{"data":{"session_uri":"x","session_token":"/.eyJleHAiOjI1MzQwMjMwMDc5OX0.x"}}')
@example(body=b'{"data":{"session_uri":"x","session_token":"a.b.c"}}')
def test_any_body_is_a_session_or_an_invalid_response(body: bytes) -> None:
    """A session has the documented form; everything else is one error, which quotes nothing."""
    try:
        session = wire.created_session(body)
    except wire.InvalidResponseError as error:
        assert len(str(error)) < 200  # noqa: PT017 - both outcomes are valid
        return
    assert session.session_uri
    assert re.fullmatch(r"([A-Za-z0-9_-]+\.){2}[A-Za-z0-9_-]+", session.session_token)
    assert session.expires_at.tzinfo is not None
    assert isinstance(session.consumer_id, str | None)


@given(
    status=st.integers(201, 999),
    body=st.binary() | (failures | json_values).map(json.dumps).map(str.encode),
    retry_after=st.none() | st.text() | dates | st.integers().map(str),
)
@example(status=429, body=b"", retry_after="Mon, 01 Jan 0001 00:00:00 GMT")
@example(status=429, body=b"", retry_after="Fri, 31 Dec 9999 23:59:59 -2359")
@example(status=429, body=b"[]", retry_after=f"Fri, 31 Dec {2**70} 23:59:59 GMT")
@example(status=429, body=b'{"type_name": "a b"}', retry_after="\u00b2")
@example(status=503, body=b'{"type_name": "' + b"x" * 65 + b'"}', retry_after="9" * 5000)
@example(status=400, body=b'{"detail": {"theme": {"logo": 1}}}', retry_after=None)
def test_any_other_response_is_one_error_with_valid_fields(
    status: int, body: bytes, retry_after: str | None
) -> None:
    """Only names of fields and of the error are taken from Apideck's response."""
    headers = {} if retry_after is None else {"retry-after": retry_after}

    error = error_of(status, headers, body)

    assert isinstance(error, ApideckError)
    assert error.retry_after is None or 0 <= error.retry_after <= 3600
    if isinstance(error, ApideckRejectedRequestError):
        assert all(field.split("/")[1] in Session.__annotations__ for field in error.fields)
    assert re.match(r"[0-9]{3} [A-Za-z]{1,64}: ", error.reason or "")
    assert len(error.reason or "") < 400
    assert len(error.detail) < 200


@given(session=st.dictionaries(st.text(), json_values, max_size=3))
@example(session={"half": "\ud800"})
@example(session={"number": 10**19})
def test_serializing_a_session_changes_nothing(session: dict[str, Any]) -> None:
    """Parsing the JSON that is sent returns the same session."""
    body = json.dumps(session)
    try:
        known = strict_json.loads(body.encode())
    except strict_json.InvalidJSONError:
        return
    assert json.loads(wire.session_body(known)) == known
