import json
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.observability.redaction import REDACTED, Redactor

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJl"
SECRET = "hunter2-hunter2"


def redact(*secrets: str, **event: Any) -> Any:
    """Pass one event through a redactor that knows some secrets."""
    redactor = Redactor()
    for secret in secrets or (SECRET,):
        redactor.add_secret(secret)
    return redactor(None, "info", event)


@pytest.mark.parametrize(
    "name",
    ["authorization", "Cookie", "set-cookie", "api_key", "x-api-key", "password", "client_secret",
     "token", "access_token", "session_token", "session_uri", "redirect_url", "email", "user_name",
     "consumer_metadata"],
)  # fmt: skip
def test_a_field_with_a_sensitive_name_is_redacted(name: str) -> None:
    """Its value does not matter."""
    assert redact(**{name: "anything"}) == {name: REDACTED}


@pytest.mark.parametrize(
    "text",
    [JWT, JWT[:40], f"Bearer {JWT}", "Basic dXNlcjpwYXNz", "sk_live_0123456789abcdef",
     "ada@example.com", SECRET],
)  # fmt: skip
def test_a_secret_inside_a_text_is_redacted(text: str) -> None:
    """It is recognized by its form or its value, in every field and at every depth."""
    event = redact(
        event=f"before {text} after", nested={"list": [f"<{text}>"]}, error=ValueError(text)
    )

    assert event["event"] == f"before {REDACTED} after"
    assert text not in str(event)


def test_a_secret_as_a_key_is_redacted() -> None:
    """This includes the keys of nested objects."""
    assert redact(headers={SECRET: 1}) == {"headers": {REDACTED: 1}}


@pytest.mark.parametrize("url", ["redis://:pa55@redis:6379/0", "https://user:pa55@127.0.0.1/x"])
def test_credentials_in_a_url_are_redacted(url: str) -> None:
    """The password does not appear in the event."""
    event = redact(event="text", url=url)

    assert "pa55" not in event["url"]
    assert REDACTED in event["url"]


@pytest.mark.parametrize("secret", ["pass word\n", "p+s/w=d%41", 'a"b\\c\'d"e', "naïve-é-secret"])
def test_a_secret_is_recognized_in_escaped_form(secret: str) -> None:
    """Libraries quote a value as Python, JSON or a URL does, or combine these forms."""
    inner = secret.strip()
    forms = [
        secret,
        repr(secret),
        repr(secret.encode()),
        repr(ValueError(f"bad value: {secret!r}")),
        json.dumps({"header": secret}),
        json.dumps(secret, ensure_ascii=False),
        f"https://x.example/?key={quote(secret, safe='')}",
        f"https://x.example/?key={quote(secret, safe='').lower()}",
        quote(repr(secret), safe=""),
        json.dumps(json.dumps(secret)),
    ]
    for form in forms:
        shown = redact(secret, inner, event="failed", error=form)["error"]
        assert REDACTED in shown, form
        assert inner not in shown


@pytest.mark.parametrize("secret", ["", "1", "app", "7654321", "token", "configured"])
def test_short_values_and_single_words_are_not_known_secrets(secret: str) -> None:
    """They cannot be distinguished from ordinary text."""
    event = {
        "event": "vault_session_refused",
        "timestamp": "2026-11-30T07:16:54.321000Z",
        "client": "127.0.0.1",
        "consumer_id": "apple-gmbh-7654321",
        "reason": "not a bearer token; iss and aud are those of no configured issuer",
    }

    assert redact(secret, **event) == event


def test_a_known_secret_is_not_redacted_in_fields_of_the_service() -> None:
    """Operators search for these fields, so they are kept even if a secret is the same text."""
    event = {
        "event": "vault_session_minted",
        "timestamp": "2026-11-30T02:45:22.633143Z",
        "level": "warning!",
        "request_id": "field-11111111",
        "trace_id": "0af7651916cd43dd8448eb211c80319c",
        "problem": "rate-limited",
    }

    assert redact(*event.values(), **event, client="field-11111111") == {
        **event,
        "client": REDACTED,
    }


def test_a_known_secret_is_redacted_in_the_text_of_a_library() -> None:
    """The event of a library's record is not a name that the service chose."""
    assert redact("an_unusual_key", event="an_unusual_key", logger="some.library") == {
        "event": REDACTED,
        "logger": "some.library",
    }


@pytest.mark.parametrize(
    "text", ["not a bearer token", "Bearer authentication failed", "basic information is missing"]
)
def test_words_after_bearer_or_basic_are_not_credentials(text: str) -> None:
    """A credential has a digit or an upper-case letter, or is longer than a word."""
    assert redact(event="text", reason=text)["reason"] == text


@pytest.mark.parametrize(
    "credential", ["abcd1", "dXNlcjpwYXNz", "abcdefghijklmnopqrstuvwxyz", "a.b-c_9"]
)
def test_a_credential_after_bearer_or_basic_is_redacted(credential: str) -> None:
    """The scheme can be in upper or lower case, and the credential can have padding."""
    for text in (f"Bearer {credential}", f"basic {credential}=="):
        assert redact(event="text", reason=text)["reason"] == REDACTED


def test_values_that_are_not_secret_are_kept() -> None:
    """Numbers, flags and plain words are not changed."""
    event = {
        "status": 201,
        "ok": True,
        "none": None,
        "ms": 1.5,
        "token_type": "at+jwt",
        "words": "a b",
    }

    assert redact(**event) == event


def test_deeply_nested_values_are_searched_as_text() -> None:
    """A secret is found at any depth."""
    value: Any = [JWT, SECRET]
    for _ in range(20):
        value = [value]

    assert JWT not in str(redact(value=value))
    assert SECRET not in str(redact(value=value))


WORDS = st.sampled_from(
    [
        "ada",
        "ada@acme.example",
        "a@b",
        "://a:b@c",
        "eyJhbGciOi.x.y",
        "Bearer",
        "bearer abcdef1",
        "sk_live_1",
        "s3cr3t-v4lue",
        "@",
    ]
) | st.text(max_size=8)


@given(
    st.dictionaries(
        st.sampled_from(["reason", "route", "subject", "status", "token", "email"]),
        st.lists(WORDS, max_size=4).map("".join) | st.integers() | st.none() | st.lists(WORDS),
    )
)
def test_searching_all_fields_at_once_finds_every_secret(event: dict[str, Any]) -> None:
    """The result is the same as that of searching each field separately."""
    redactor = Redactor()
    redactor.add_secret("s3cr3t-v4lue")

    one_by_one = {name: redactor._field(name, value, 6) for name, value in event.items()}
    assert redactor(None, "info", dict(event)) == one_by_one


@pytest.mark.parametrize(
    "prefix", ["sk_live_abc.", "eyJabcdef+", "Bearer abcd%", "Basic dXNlcg.", f"{SECRET}+"]
)
def test_an_email_address_after_a_secret_is_redacted(prefix: str) -> None:
    """Redacting the secret does not leave a part of the address."""
    assert "acme" not in redact(event=f"{prefix}jane@acme.example")["event"]


@pytest.mark.parametrize("prefix", ["", "x", "a.b", " ", "<", "\u00e9"])
def test_an_email_address_is_found_at_any_position(prefix: str) -> None:
    """The text before the address does not matter."""
    assert "acme" not in redact(event=f"{prefix}ada@acme.example")["event"]
