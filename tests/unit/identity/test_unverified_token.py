import json

import pytest

from app.errors import UnauthenticatedError
from app.identity.unverified_token import UnverifiedToken, parse
from tests.support.in_process import messages, problem_of
from tests.support.signing import encoded


@pytest.mark.parametrize(
    "text", ["", "abc", "a.b", "a.b.c.d", "a..c", ".b.c", "a.b.", "a.b.c=", "ä.b.c"]
)
def test_text_that_is_not_a_compact_token_is_not_parsed(text: str) -> None:
    """It may be an opaque token."""
    assert parse(text) is None


@pytest.mark.parametrize(
    ("header", "claims", "reason"),
    [
        ("e30", encoded(b"[]"), "the payload is not a JSON object"),
        (encoded(b"5"), "e30", "the header is not a JSON object"),
        ("a", "e30", "the header is not base64url"),
        ("e30", "a", "the payload is not base64url"),
        ("e31", "e30", "the header is not base64url"),
        ("e30", "e31", "the payload is not base64url"),
        (encoded(b"{"), "e30", "the header is not JSON"),
        ("e30", encoded(b'{"a":1,"a":2}'), "the payload is not JSON"),
        ("e30", encoded(b"\xff"), "the payload is not JSON"),
        ("e30", encoded(b"[0" + b",0" * 2001 + b"]"), "the payload has more than 2000 values"),
        ("e30", encoded(b"[0" + b",0" * 2000 + b"]"), "the payload is not a JSON object"),
        (encoded(b"[0" + b",0" * 2001 + b"]"), "e30", "the header has more than 2000 values"),
    ],
)
def test_a_token_without_json_objects_is_rejected(header: str, claims: str, reason: str) -> None:
    """The operator's message says whether the header or the payload is malformed."""
    with pytest.raises(UnauthenticatedError) as error:
        parse(f"{header}.{claims}.c2ln")

    assert messages(error.value) == ("Your sign-in is not valid. Please sign in again.", reason)


@pytest.mark.parametrize("signature", ["a", "c2lnY", "c2lnYR", "c2lnYWJ"])
def test_a_signature_has_only_one_encoding(signature: str) -> None:
    """A changed text never decodes to the same bytes."""
    with pytest.raises(UnauthenticatedError) as error:
        parse(f"e30.e30.{signature}")

    assert problem_of(error.value) == "the signature is not base64url"


@pytest.mark.parametrize("name", ["a", "ab", "abc", "abcd", "\xff\xfe?>"])
def test_segments_of_every_length_are_decoded(name: str) -> None:
    """Segments have no padding (RFC 7515 section 2)."""
    header = {"typ": name}
    text = f"{encoded(json.dumps(header, ensure_ascii=False).encode())}.{encoded(b'{}')}.c2ln"

    token = parse(text)

    assert token == UnverifiedToken(text, header, {}, b"sig")
    assert token.signing_input == text[:-5].encode()


def test_the_repr_of_a_parsed_token_contains_no_data() -> None:
    """A log line with it contains no credential and no claims."""
    token = parse(f"{encoded(b'{}')}.{encoded(b'{}')}.c2ln")

    assert repr(token) == "UnverifiedToken()"
