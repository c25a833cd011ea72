"""JSON as JavaScript reads and writes it, compared with Node.js on generated texts."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.webhooks.javascript_json import InvalidJSONError, parse, sorted_text
from tests.support.javascript import JavaScript, javascript, missing

INDICES = ["0", "7", "10", "01", "-0", "4294967294", "4294967295", "9007199254740993"]
NAMES = ["__proto__", "toJSON", "length", "constructor", "", "Z", "a", "é", "\ufb01", "\U0001f600"]

space = st.text(" \t\r\n", max_size=1)
numbers = st.one_of(
    st.from_regex(r"-?(0|[1-9][0-9]{0,25})(\.[0-9]{1,25})?([eE][+-]?[0-9]{1,3})?", fullmatch=True),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.integers(2**53 - 3, 2**53 + 3).map(str),
    st.integers(-(10**22), 10**22).map(str),
)
characters = st.one_of(
    st.characters(codec="utf-8", exclude_characters='"\\', min_codepoint=32),
    st.sampled_from(["\\n", "\\/", '\\"', "\\\\", "\\b", "\\f", "\\r", "\\t"]),
    st.integers(0, 0xFFFF).map(lambda unit: f"\\u{unit:04x}"),
    st.integers(0xD800, 0xDFFF).map(lambda unit: f"\\u{unit:04X}"),
)
strings = st.lists(characters, max_size=4).map(lambda parts: '"' + "".join(parts) + '"')
keys = st.sampled_from([*INDICES, *NAMES]).map(json.dumps) | strings
scalars = numbers | strings | st.sampled_from(["true", "false", "null"])


def in_array(items: list[str]) -> str:
    """Return the text of an array."""
    return f"[{','.join(items)}]"


def in_object(pairs: list[tuple[str, str, str]]) -> str:
    """Return the text of an object, with white space after each key."""
    return "{" + ",".join(f"{key}{white}:{value}" for key, white, value in pairs) + "}"


def containers(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Return a strategy for arrays and objects without duplicate keys, escaped or not."""
    pairs = st.tuples(keys, space, inner)
    members = st.lists(pairs, max_size=5, unique_by=lambda pair: json.loads(pair[0]))
    return st.lists(inner, max_size=3).map(in_array) | members.map(in_object)


texts = st.recursive(scalars, containers, max_leaves=12)


@st.composite
def damaged(draw: st.DrawFn) -> str:
    """Return a text in which one character was replaced, left out or inserted."""
    text = draw(texts)
    at = draw(st.integers(0, len(text)))
    piece = draw(st.sampled_from(["", ",", ":", '"', "[", "}", "-", "0", ".", "e", "\\", "u", " "]))
    return text[:at] + piece + text[at + draw(st.integers(0, 1)) :]


@pytest.fixture(scope="module")
def node() -> Iterator[JavaScript]:
    """Run one Node.js process for all examples."""
    if reason := missing():
        pytest.skip(reason)
    with javascript() as running:
        yield running


def forms(body: bytes) -> list[bytes] | None:
    """Return what the service computes; None for what it rejects."""
    try:
        value: Any = parse(body)
    except InvalidJSONError:
        return None
    return [sorted_text(value, inside_arrays=inside) for inside in (False, True)]


@given(documents=st.lists(texts, min_size=1, max_size=5))
@example(documents=['{"a":[{"b":1,"a":"\\uD800"}],"__proto__":{"x":1},"1":-0.0}'])
def test_sorted_forms_are_the_same_as_those_of_node(node: JavaScript, documents: list[str]) -> None:
    """The sorted forms of any JSON text are the same bytes as those of Node.js."""
    for text in documents:
        body = text.encode()
        assert forms(body) == node.sorted_forms(body)


@given(documents=st.lists(damaged(), min_size=1, max_size=5))
def test_a_damaged_text_has_the_same_result_as_in_node(
    node: JavaScript, documents: list[str]
) -> None:
    """The service accepts exactly what Node.js accepts, except objects with duplicate keys."""
    for text in documents:
        body = text.encode()
        by_service, by_node = forms(body), node.sorted_forms(body)
        assert by_service == by_node or (by_service is None and has_duplicate_key(text))


def has_duplicate_key(text: str) -> bool:
    """Return whether any object in a JSON text has a duplicate key."""
    found = False

    def record(members: list[tuple[str, Any]]) -> None:
        nonlocal found
        found |= len({key for key, _ in members}) < len(members)

    json.loads(text, object_pairs_hook=record)
    return found
