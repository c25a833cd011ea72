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
def test_reads_what_every_parser_reads_alike(text: bytes, value: object) -> None:
    """Unambiguous JSON is read as it stands."""
    assert loads(text) == value


@pytest.mark.parametrize(
    ("text", "complaint"),
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
        (b"\xef\xbb\xbf{}", "not JSON"),
        (b"{} {}", "not JSON"),
        (b"", "not JSON"),
        (b"{'a': 1}", "not JSON"),
        (b'"\x00"', "not JSON"),
        (b"[" * 100_000, "nested"),
        (b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), "nested"),
        (b'{"a":' * (MAX_DEPTH + 1) + b"1" + b"}" * (MAX_DEPTH + 1), "nested"),
    ],
)
def test_refuses_what_parsers_disagree_about(text: bytes, complaint: str) -> None:
    """Anything that two parsers could read differently is refused with a sentence."""
    with pytest.raises(InvalidJSONError, match=complaint):
        loads(text)


def test_reads_the_deepest_nesting_that_it_promises() -> None:
    """The documented depth itself is still read."""
    assert loads(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)
