from typing import Any

import pytest

from app.observability.redaction import REDACTED, Redactor

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJl"


def redact(**event: Any) -> Any:
    """Pass one event through a redactor that knows one secret."""
    redactor = Redactor()
    redactor.learn("hunter2-hunter2")
    return redactor(None, "info", event)


@pytest.mark.parametrize(
    "name",
    ["authorization", "Cookie", "set-cookie", "api_key", "x-api-key", "password", "client_secret",
     "token", "access_token", "session_token", "session_uri", "redirect_url", "email", "user_name",
     "consumer_metadata"],
)  # fmt: skip
def test_a_field_with_a_sensitive_name_is_taken_out(name: str) -> None:
    """Whatever it holds, a field of that name is not written."""
    assert redact(**{name: "anything"}) == {name: REDACTED}


@pytest.mark.parametrize(
    "text",
    [JWT, JWT[:40], f"Bearer {JWT}", "Basic dXNlcjpwYXNz", "sk_live_0123456789abcdef",
     "ada@example.com", "hunter2-hunter2"],
)  # fmt: skip
def test_a_secret_inside_a_text_is_taken_out(text: str) -> None:
    """A secret is recognised by its shape or because it is known, wherever it stands."""
    event = redact(
        event=f"before {text} after", nested={"list": [f"<{text}>"]}, error=ValueError(text)
    )

    assert event["event"] == f"before {REDACTED} after"
    assert text not in str(event)


def test_what_is_not_secret_stays() -> None:
    """Numbers, flags and plain words are left alone."""
    event = {
        "status": 201,
        "ok": True,
        "none": None,
        "ms": 1.5,
        "token_type": "at+jwt",
        "words": "a b",
    }

    assert redact(**event) == event


def test_what_is_nested_too_deeply_is_searched_as_text() -> None:
    """There is no depth at which a secret is safe from being taken out."""
    value: Any = JWT
    for _ in range(20):
        value = [value]

    assert JWT not in str(redact(value=value))
