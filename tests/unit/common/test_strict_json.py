import pytest

from app.common.strict_json import MAX_DEPTH, InvalidJSONError, loads


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b'{"a": [1, -2.5, true, null, "\xc3\xa9"]}', {"a": [1, -2.5, True, None, "é"]}),
        (b'"\\ud83d\\ude00"', "😀"),
        (b" [] ", []),
        (b"9223372036854775807", 9223372036854775807),
    ],
)
def test_unambiguous_json_is_parsed(text: bytes, value: object) -> None:
    """Every parser reads these values in the same way."""
    assert loads(text) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b'{"a": 1, "a": 2}', "twice"),
        (b'{"a": {"b": 1, "b": 1}}', "twice"),
        (b"[NaN]", "NaN"),
        (b"[-Infinity]", "Infinity"),
        (b"1e999", "out of range"),
        (b"1" * 20, "out of range"),
        (b"1" * 5000, "out of range"),
        (b'"\\ud800"', "surrogate"),
        (b'{"\\udfff": 1}', "surrogate"),
        (b"\xff\xfe{\x00}\x00", "UTF-8"),
        (b"\xef\xbb\xbf{}", "not valid JSON"),
        (b"{} {}", "not valid JSON"),
        (b"", "not valid JSON"),
        (b"{'a': 1}", "not valid JSON"),
        (b'"\x00"', "not valid JSON"),
        (b"[" * 100_000, "nested"),
        (b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), "nested"),
        (b'{"a":' * (MAX_DEPTH + 1) + b"1" + b"}" * (MAX_DEPTH + 1), "nested"),
    ],
)
def test_ambiguous_and_invalid_json_is_rejected(text: bytes, message: str) -> None:
    """The message states the reason."""
    with pytest.raises(InvalidJSONError, match=message):
        loads(text)


def test_the_documented_depth_is_accepted() -> None:
    """Only deeper nesting is rejected."""
    assert loads(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)
