"""JSON is read and written as JavaScript does; the expected values come from Node.js."""

import struct
from collections.abc import Iterator

import pytest

from app.webhooks.javascript_json import (
    MAX_DEPTH,
    MAX_VALUES,
    InvalidJSONError,
    number_text,
    parse,
    sorted_text,
)
from tests.support.javascript import JavaScript, javascript, missing

NUMBERS = [
    ("0", "0"),
    ("-0", "0"),
    ("-0.0", "0"),
    ("1.0", "1"),
    ("-1.50", "-1.5"),
    ("100", "100"),
    ("1e2", "100"),
    ("1E+2", "100"),
    ("123.456", "123.456"),
    ("0.1", "0.1"),
    ("0.0001", "0.0001"),
    ("0.00001", "0.00001"),
    ("0.000001", "0.000001"),
    ("0.00000123", "0.00000123"),
    ("0.0000001", "1e-7"),
    ("1.5e-7", "1.5e-7"),
    ("-1.25e-10", "-1.25e-10"),
    ("5e-324", "5e-324"),
    ("1e-400", "0"),
    ("9007199254740991", "9007199254740991"),
    ("9007199254740993", "9007199254740992"),
    ("-9007199254740993", "-9007199254740992"),
    ("12345678901234567890", "12345678901234567000"),
    ("123456789012345680000", "123456789012345680000"),
    ("999999999999999999999", "1e+21"),
    ("1e21", "1e+21"),
    ("1.5e21", "1.5e+21"),
    ("1e23", "1e+23"),
    ("1.7976931348623157e308", "1.7976931348623157e+308"),
    ("1e309", "null"),
    ("-1e309", "null"),
    ("1" * 400, "null"),
    ("0.1234567890123456789", "0.12345678901234568"),
    ("4.35", "4.35"),
    ("2e0", "2"),
]

DOCUMENTS = [
    # Array indices come first, in ascending order; other integers are ordinary keys.
    (
        '{"b":1,"10":2,"9":3,"a":4,"01":5,"-1":6,"1.5":7,"1e3":8}',
        '{"9":3,"10":2,"-1":6,"01":5,"1.5":7,"1e3":8,"a":4,"b":1}',
    ),
    (
        '{"4294967295":1,"4294967294":2,"5000000000":3,"0":4}',
        '{"0":4,"4294967294":2,"4294967295":1,"5000000000":3}',
    ),
    ('{"!":1,"4294967294":2,"4294967295":3}', '{"4294967294":2,"!":1,"4294967295":3}'),
    # By UTF-16 code units, an astral character sorts before U+FB01.
    ('{"\ufb01":1,"\U0001f600":2,"z":3,"é":4}', '{"z":3,"é":4,"\U0001f600":2,"\ufb01":1}'),
    ('{"\\ud83d\\ude00":1,"\\ud83d":2}', '{"\\ud83d":2,"\U0001f600":1}'),
    # Sorting an object removes this key, for any value.
    ('{"__proto__":{"x":1},"a":{"__proto__":null,"b":2}}', '{"a":{"b":2}}'),
    ('{"__proto__":[1],"length":5,"toJSON":1}', '{"length":5,"toJSON":1}'),
    # Strings: short escapes, lower-case hex, and nothing else is escaped.
    (
        '["\\u0000\\u001F\\u007f\\u2028\\/\\"\\\\\\b\\f\\n\\r\\t"]',
        '["\\u0000\\u001f\x7f\u2028/\\"\\\\\\b\\f\\n\\r\\t"]',
    ),
    # Lone surrogates are escaped; pairs are one character.
    ('["\\uD800","\\uDFFF\\uD800"]', '["\\ud800","\\udfff\\ud800"]'),
    ('["x\\uDBFF\\uDFFFy"]', '["x\U0010ffffy"]'),
    (' {\t"b" :\r\n[ true , false , null ] , "a":{} } ', '{"a":{},"b":[true,false,null]}'),
    ('"text"', '"text"'),
    ("[]", "[]"),
]  # fmt: skip

IN_ARRAYS = [
    # The text, sorted everywhere, and sorted outside arrays, where arrays keep their order.
    (
        '{"b":[{"d":1,"c":2,"1":3}],"a":0}',
        '{"a":0,"b":[{"1":3,"c":2,"d":1}]}',
        '{"a":0,"b":[{"1":3,"d":1,"c":2}]}',
    ),
    (
        '[[{"z":{"b":1,"a":2},"__proto__":1}]]',
        '[[{"z":{"a":2,"b":1}}]]',
        '[[{"z":{"b":1,"a":2},"__proto__":1}]]',
    ),
]

NOT_JSON = [
    b"",
    b" ",
    b"{",
    b'{"a":1,}',
    b"[1,]",
    b"{'a':1}",
    b"01",
    b"+1",
    b"1.",
    b".5",
    b"0x1",
    b"NaN",
    b"Infinity",
    b"-Infinity",
    b"nul",
    b'"\n"',
    b'"\\x41"',
    b'"\\u12"',
    b'"\\u 123"',
    b'"open',
    b"1 2",
    b"\xef\xbb\xbf{}",
    b"\x0b1",
    b"\xc2\xa01",
    "\uff11".encode(),
]


@pytest.fixture(scope="module")
def node() -> Iterator[JavaScript]:
    """Run one Node.js process for all tests."""
    if reason := missing():
        pytest.skip(reason)
    with javascript() as running:
        yield running


def sort_everywhere(text: str) -> str:
    """Return a text with sorted keys, also inside arrays."""
    return sorted_text(parse(text.encode()), inside_arrays=True).decode()


@pytest.mark.parametrize(("literal", "written"), NUMBERS)
def test_numbers_are_written_as_javascript_writes_them(literal: str, written: str) -> None:
    """Each number is the nearest double, in the notation of JavaScript."""
    assert sort_everywhere(literal) == written
    assert sort_everywhere(f'{{"a":[{literal}]}}') == f'{{"a":[{written}]}}'


@pytest.mark.parametrize(("text", "expected"), DOCUMENTS)
def test_documents_are_written_as_javascript_writes_them(text: str, expected: str) -> None:
    """The order, escapes and white space are those of JavaScript."""
    assert sort_everywhere(text) == expected


@pytest.mark.parametrize(("text", "sorted_everywhere", "sorted_outside"), IN_ARRAYS)
def test_objects_inside_arrays_are_sorted_or_not(
    text: str, sorted_everywhere: str, sorted_outside: str
) -> None:
    """Apideck's guide and its sample code differ in this."""
    assert sort_everywhere(text) == sorted_everywhere
    assert sorted_text(parse(text.encode()), inside_arrays=False).decode() == sorted_outside


@pytest.mark.parametrize("body", NOT_JSON)
def test_text_that_javascript_rejects_is_rejected(body: bytes) -> None:
    """Python's extensions of JSON are not accepted."""
    with pytest.raises(InvalidJSONError, match=r"^not JSON$"):
        parse(body)


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":1,"a":1}',
        b'{"a":1,"\\u0061":2}',
        b'[{"b":{"__proto__":1,"__proto__":2}}]',
        b'"\xff"',
        b'"\xed\xa0\x80"',
    ],
)
def test_ambiguous_text_is_rejected(body: bytes) -> None:
    """JavaScript accepts duplicate keys and invalid UTF-8; other parsers read them differently."""
    with pytest.raises(InvalidJSONError):
        parse(body)


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_depth_is_limited(opening: str, closing: str) -> None:
    """The maximum number of levels is accepted, and one more is rejected."""
    deepest = opening * MAX_DEPTH + "0" + closing * MAX_DEPTH
    assert sort_everywhere(deepest) == deepest
    with pytest.raises(InvalidJSONError):
        parse(deepest.replace("0", "[]").encode())
    with pytest.raises(InvalidJSONError):
        parse(opening.encode() * (MAX_VALUES - 1))


def test_the_number_of_values_is_limited() -> None:
    """The maximum number of values is accepted, and one more is rejected."""
    most = "[" + ",".join("0" * MAX_VALUES) + "]"
    assert sort_everywhere(most) == most
    with pytest.raises(InvalidJSONError):
        parse(most.replace("0]", "0,0]").encode())


def test_node_computes_the_expected_values(node: JavaScript) -> None:
    """Every expected value in this file is equal to the value that Node.js computes."""
    for literal, written in NUMBERS:
        assert node.sorted_forms(literal.encode()) == [written.encode()] * 2, literal
    for text, expected in DOCUMENTS:
        assert (node.sorted_forms(text.encode()) or [])[1] == expected.encode(), text
    for text, sorted_everywhere, sorted_outside in IN_ARRAYS:
        forms = [sorted_outside.encode(), sorted_everywhere.encode()]
        assert node.sorted_forms(text.encode()) == forms, text
    for body in NOT_JSON:
        assert node.sorted_forms(body) is None, body


def test_every_power_of_two_is_written_as_node_writes_it(node: JavaScript) -> None:
    """This includes adjacent doubles, for which the shortest digits are hardest to find."""
    doubles = [
        struct.unpack("<d", struct.pack("<q", (exponent << 52) + step))[0]
        for exponent in range(1, 2047)
        for step in (-1, 0, 1)
    ]
    text = "[" + ",".join(map(repr, doubles)) + "]"
    expected = "[" + ",".join(map(number_text, doubles)) + "]"
    assert node.sorted_forms(text.encode()) == [expected.encode()] * 2
