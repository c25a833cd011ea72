import hmac
from collections.abc import Callable
from typing import Any, Literal

import pytest

from app.webhooks import javascript_json
from app.webhooks.signature import MAX_BODY_BYTES, SignedContent, verify_raw, verify_sorted
from tests.support.apideck_events import (
    API_KEY,
    event,
    raw,
    sign,
    sorted_everywhere,
    sorted_outside_arrays,
)

PREVIOUS_KEY = "sk_live_previous"
KEYS = [API_KEY, PREVIOUS_KEY]
BODY = raw(event())
FORMS: list[Callable[[Any], bytes]] = [raw, sorted_everywhere, sorted_outside_arrays]


def verify_signature(body: bytes, signature: str, keys: list[str]) -> SignedContent | None:
    """Return the content that a signature covers, in any form of the body."""
    return verify_raw(body, signature, keys) or verify_sorted(body, signature, keys)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
@pytest.mark.parametrize("encoding", ["hex", "base64"])
def test_each_form_and_encoding_of_a_signature_is_accepted(
    form: Callable[[Any], bytes], encoding: Literal["hex", "base64"]
) -> None:
    """The content is the signed bytes, which can differ from the body."""
    signed = form(event())
    verified = verify_signature(BODY, sign(signed, encoding=encoding), KEYS)
    assert verified is not None
    assert verified.content == signed
    assert verified.key_index == 0


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
def test_the_previous_key_is_accepted_and_reported(form: Callable[[Any], bytes]) -> None:
    """After a rotation, Apideck may still sign with the previous key."""
    verified = verify_signature(BODY, sign(form(event()), PREVIOUS_KEY), KEYS)
    assert verified is not None
    assert verified.key_index == 1
    assert verify_signature(BODY, sign(form(event()), PREVIOUS_KEY), [API_KEY]) is None


def test_hex_is_accepted_in_upper_case() -> None:
    """Upper and lower case mean the same bytes."""
    assert verify_signature(BODY, sign(BODY).upper(), KEYS) is not None


def test_a_raw_signature_is_verified_without_parsing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Most deliveries need only one HMAC."""
    monkeypatch.delattr(javascript_json, "parse")
    assert verify_signature(BODY, sign(BODY), KEYS) is not None


@pytest.mark.parametrize(
    "value",
    [
        "",
        sign(BODY, "another key"),
        sign(b"{}"),
        sign(BODY)[:-1],
        sign(BODY)[:-2],
        sign(BODY) + "0",
        f"sha256={sign(BODY)}",
        f" {sign(BODY)}",
        f"{sign(BODY)}\n",
        f"{sign(BODY)},{sign(BODY)}",
        sign(BODY, encoding="base64")[:-1],
        sign(BODY, encoding="base64") + "=",
        sign(BODY, encoding="base64") + "\n",
        "\uff10" * 64,
        "ö" * 64,
        "0" * 64,
        "A" * 43 + "=",
    ],
)
def test_any_other_signature_is_rejected(value: str) -> None:
    """A signature must be the correct 32 bytes, in one of the two encodings."""
    assert verify_signature(BODY, value, KEYS) is None


@pytest.mark.parametrize(
    "altered",
    [
        BODY.replace(b"acme", b"evil"),
        BODY.replace(b'"execution_attempt": 1', b'"execution_attempt": 2'),
        BODY.replace(b"1.0", b"1"),
        BODY.replace(b'"payload"', b'"Payload"'),
        BODY + b"{}",
        b"[" + BODY + b"]",
        b"",
    ],
)
@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
def test_an_altered_body_is_rejected(form: Callable[[Any], bytes], altered: bytes) -> None:
    """A recorded signature is not valid for different content, in any form."""
    assert altered != BODY
    assert verify_signature(altered, sign(form(event())), KEYS) is None


@pytest.mark.parametrize(
    ("signed", "body"),
    [
        (b'{"a":9007199254740992}', b'{"a":9007199254740993}'),
        (b'{"a":1}', b'{"a": 1.0e0}'),
        (b'{"a":1}', b'{"__proto__":{"a":2},"a":1}'),
        (b'{"a":1,"b":2}', b'{"b":2,"a":1}'),
    ],
)
def test_a_different_body_with_the_same_sorted_form_adds_no_content(
    signed: bytes, body: bytes
) -> None:
    """The attack: an attacker without the key rewrites a recorded event.

    The signature is valid, but the service uses only the content that Apideck signed.
    """
    verified = verify_signature(body, sign(signed), KEYS)
    assert verified is not None
    assert verified.content == signed


def test_a_duplicate_key_is_rejected_although_javascript_accepts_it() -> None:
    """The attack: an attacker without the key adds a second member to a recorded event."""
    signed = b'{"a":1}'
    assert verify_signature(b'{"a":2,"a":1}', sign(signed), KEYS) is None


def test_the_size_is_limited() -> None:
    """A body of the maximum size is verified, and one byte more is rejected."""
    largest = b'"' + b"x" * (MAX_BODY_BYTES - 2) + b'"'
    assert verify_signature(largest, sign(largest), KEYS) is not None
    assert verify_signature(largest + b" ", sign(largest + b" "), KEYS) is None


def test_a_body_that_is_not_json_can_only_have_a_raw_signature() -> None:
    """The body of the request that validates a URL is not documented."""
    assert verify_signature(b"", sign(b""), KEYS) is not None
    assert verify_signature(b"ping", sign(b"ping"), KEYS) is not None
    assert verify_signature(b"ping", sign(b"pong"), KEYS) is None


def test_signatures_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every comparison of a digest is made by `hmac.compare_digest`."""
    compared: list[tuple[bytes, bytes]] = []

    def compare(digest: bytes, received: bytes) -> bool:
        compared.append((digest, received))
        return False

    monkeypatch.setattr(hmac, "compare_digest", compare)
    assert verify_signature(BODY, sign(BODY), KEYS) is None
    assert len(compared) == len(FORMS) * len(KEYS)


def test_without_keys_no_signature_is_valid() -> None:
    """An empty list of keys is not an empty key."""
    assert verify_signature(BODY, sign(BODY, ""), []) is None


def test_the_content_does_not_appear_in_a_repr() -> None:
    """Events contain data of customers, which must not be logged."""
    assert "acme" not in repr(verify_signature(BODY, sign(BODY), KEYS))
