"""JSON from other systems, parsed without the leniency that parsers disagree about.

Python's decoder accepts duplicate members, NaN, lone surrogates and numbers that are out of range
for other parsers. If two parsers read different values from one text, a check by the first does
not protect the second. So all of these are rejected (RFC 8259 sections 4, 6 and 8.2; RFC 7493
"I-JSON").
"""

import json
import math
from collections.abc import Iterable
from itertools import chain
from typing import Any, NoReturn

MAX_DEPTH = 32
"""Levels of arrays and objects; nothing that this service parses needs more than six."""

_MAX_INTEGER_DIGITS = 19
_CONTAINERS = (dict, list)
_TOO_DEEP = f"nested more than {MAX_DEPTH} levels deep"


class InvalidJSONError(ValueError):
    """The text is not JSON that every parser reads in the same way; the message never quotes it."""


def loads(data: bytes) -> Any:
    """Parse one UTF-8 encoded JSON text.

    Raises:
        InvalidJSONError: the text is not unambiguous JSON. The message completes the sentence
            "The text is …", and can be shown to the sender.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidJSONError("not encoded as UTF-8") from None
    try:
        value = _DECODER.decode(text)
    except RecursionError:
        raise InvalidJSONError(_TOO_DEEP) from None
    except json.JSONDecodeError as error:
        raise InvalidJSONError(f"not valid JSON: {error.msg} at character {error.pos}") from None
    if text.count("{") + text.count("[") > MAX_DEPTH:  # Fewer cannot be nested deeper.
        _check_depth(value)
    if "\\u" in text:
        _check_surrogates(value)
    return value


def _object(members: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(members)
    if len(value) != len(members):
        raise InvalidJSONError("not valid JSON: a member name occurs twice in one object")
    return value


def _integer(digits: str) -> int:
    if len(digits) > _MAX_INTEGER_DIGITS:
        raise InvalidJSONError("not valid JSON: a number is out of range")
    return int(digits)


def _float(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise InvalidJSONError("not valid JSON: a number is out of range")
    return value


def _constant(name: str) -> NoReturn:
    raise InvalidJSONError(f"not valid JSON: {name}")


def _check_depth(value: Any) -> None:
    # Level by level, without a call for each container: anyone can send thousands of them.
    values: Iterable[Any] = [value]
    for _ in range(MAX_DEPTH + 1):
        containers = [one for one in values if isinstance(one, _CONTAINERS)]
        if not containers:
            return
        values = chain.from_iterable(
            one.values() if isinstance(one, dict) else one for one in containers
        )
    raise InvalidJSONError(_TOO_DEEP)


def _check_surrogates(value: Any) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise InvalidJSONError(
            "not valid JSON: a string contains half of a surrogate pair"
        ) from None


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object,
    parse_int=_integer,
    parse_float=_float,
    parse_constant=_constant,
)
