from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.observability.redaction import REDACTED, Redactor

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJl"


def redact(**event: Any) -> Any:
    """Pass one event through a redactor that knows one secret."""
    redactor = Redactor()
    redactor.add_secret("hunter2-hunter2")
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


WORDS = st.sampled_from(
    [
        "ada",
        "ada@acme.example",
        "a@b",
        "eyJhbGciOi.x.y",
        "Bearer",
        "bearer abcdef",
        "sk_live_1",
        "@",
    ]
) | st.text(max_size=8)


@given(
    st.dictionaries(
        st.sampled_from(["event", "route", "subject", "status", "token", "email"]),
        st.lists(WORDS, max_size=4).map("".join) | st.integers() | st.none() | st.lists(WORDS),
    )
)
def test_one_look_at_a_line_overlooks_nothing(event: dict[str, Any]) -> None:
    """What is found harmless as a whole has nothing to replace in any of its parts."""
    redactor = Redactor()
    redactor.add_secret("s3cr")

    one_by_one = {name: redactor._field(name, value, 6) for name, value in event.items()}
    assert redactor(None, "info", dict(event)) == one_by_one


@pytest.mark.parametrize(
    "before", ["sk_live_abc.", "eyJabcdef+", "Bearer abcd%", "Basic dXNlcg.", "hunter2-hunter2+"]
)
def test_an_address_is_found_behind_what_looks_like_a_secret(before: str) -> None:
    """One secret taken out does not leave half of an address behind."""
    assert "acme" not in redact(event=f"{before}jane@acme.example")["event"]


@pytest.mark.parametrize("before", ["", "x", "a.b", " ", "<", "\u00e9"])
def test_an_address_is_found_wherever_it_begins(before: str) -> None:
    """Looking from the beginning of a word only still finds every address."""
    assert Redactor()(None, "info", {"event": f"{before}ada@acme.example"}) != {
        "event": f"{before}ada@acme.example"
    }
