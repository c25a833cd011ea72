"""JSON as JavaScript reads and writes it.

Apideck computes the signature of an event over the output of `JSON.stringify`, after sorting keys
in JavaScript. That output differs from every Python serializer: keys that are array indices come
first, other keys sort by UTF-16 code units, every number is a double with its own notation, lone
surrogates are escaped, and the key `__proto__` is lost. A test compares this module with Node.js.

Source: ECMA-262, sections 6.1.6.1.20 (Number::toString), 10.1.11.1 (OrdinaryOwnPropertyKeys),
25.5.1 (JSON.parse) and 25.5.2 (JSON.stringify).
"""

import json
import json.encoder
import math
import re
from dataclasses import dataclass
from typing import Any, Final, NoReturn

MAX_DEPTH: Final = 64
"""Levels of arrays and objects; Apideck's own events have fewer than ten."""

MAX_VALUES: Final = 10_000
"""Commas and opening brackets in one text, which is at least the number of its values. Apideck's
own events have a few hundred values. The limit bounds the time that a forged body can cost."""

_MAX_ARRAY_INDEX = 2**32 - 2
_MAX_SAFE_INTEGER = 2**53 - 1
_MAX_DECIMAL_POINT = 21
_MIN_DECIMAL_POINT = -6
_INTEGER = re.compile(r"0|[1-9][0-9]{0,9}")
_LITERALS = {True: "true", False: "false", None: "null"}
_string = json.encoder.encode_basestring


class InvalidJSONError(ValueError):
    """The text is not JSON, is ambiguous, or exceeds a limit; the message never quotes it."""


@dataclass(slots=True)
class Number:
    """A number; not a `float`, so that nothing takes it for a value to compute with.

    Attributes:
        text: how `JSON.stringify` writes it.
    """

    text: str


def parse(data: bytes) -> Any:
    """Parse JSON as `JSON.parse` does, but reject duplicate keys.

    Every number becomes a `Number`. Strings may contain lone surrogates.

    Raises:
        InvalidJSONError: for what `JSON.parse` rejects, for duplicate keys, and for text that is
            not UTF-8 or exceeds `MAX_DEPTH` or `MAX_VALUES`.
    """
    if data.count(b",") + data.count(b"[") + data.count(b"{") > MAX_VALUES:
        raise InvalidJSONError("too many values")
    try:
        value = _DECODER.decode(data.decode("utf-8"))
    except UnicodeDecodeError:
        raise InvalidJSONError("not encoded as UTF-8") from None
    except json.JSONDecodeError:
        raise InvalidJSONError("not JSON") from None
    except RecursionError:
        raise InvalidJSONError("nested too deeply") from None
    _check_depth(value)
    return value


def sorted_text(value: Any, *, inside_arrays: bool) -> bytes:
    """Return the output of `JSON.stringify` for a parsed value whose keys were sorted.

    Args:
        value: what `parse` returned.
        inside_arrays: whether objects inside arrays are sorted, too. Otherwise an array is written
            as it was parsed.
    """
    text = _write(value, inside_arrays=inside_arrays)
    # After parsing, every surrogate is a lone one: the error handler writes it as an escape, in
    # lower case, exactly as JSON.stringify does.
    return text.encode("utf-8", "backslashreplace")


def _write(value: Any, *, inside_arrays: bool, sort: bool = True) -> str:
    kind = type(value)
    if kind is str:
        return _string(value)
    if kind is Number:
        return str(value.text)
    if kind is dict:
        pairs = [
            f"{_string(key)}:{_write(value[key], inside_arrays=inside_arrays, sort=sort)}"
            for key in (_sorted_keys(value) if sort else _parsed_keys(value))
        ]
        return f"{{{','.join(pairs)}}}"
    if kind is list:
        sort = sort and inside_arrays
        items = [_write(item, inside_arrays=inside_arrays, sort=sort) for item in value]
        return f"[{','.join(items)}]"
    return _LITERALS[value]


def _sorted_keys(value: dict[str, Any]) -> list[str]:
    """Return the keys in the order that a new object has after they were assigned in sorted order.

    `__proto__` is not among them: assigning to it sets the prototype and adds no key.
    """
    names = sorted(value.keys() - {"__proto__"}, key=_utf16)
    return _indices_first(names)


def _parsed_keys(value: dict[str, Any]) -> list[str]:
    """Return the keys in the order that an object has as `JSON.parse` returns it."""
    return _indices_first([*value])


def _indices_first(keys: list[str]) -> list[str]:
    """Move array indices to the front, in ascending order, where every JavaScript object has them.

    Other keys stay in the order in which they were assigned.
    """
    indices = [key for key in keys if _is_array_index(key)]
    if not indices:
        return keys
    return sorted(indices, key=int) + [key for key in keys if not _is_array_index(key)]


def _is_array_index(key: str) -> bool:
    return _INTEGER.fullmatch(key) is not None and int(key) <= _MAX_ARRAY_INDEX


def _utf16(key: str) -> bytes:
    return key.encode("utf-16-be", "surrogatepass")


def _number(literal: str) -> Number:
    return Number(number_text(float(literal)))


def number_text(value: float) -> str:
    """Return a number as `JSON.stringify` writes it.

    These are the shortest digits that mean this double, in decimal notation from 1e-6 up to 1e21
    and in exponential notation beyond; `null` for infinity.
    """
    if not math.isfinite(value):
        return "null"
    if value.is_integer() and abs(value) <= _MAX_SAFE_INTEGER:
        return str(int(value))  # Both zeros are written as 0.
    mantissa, _, exponent = repr(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    significant = (whole + fraction).lstrip("0")
    # The value is 0.DIGITS times ten to the power of `point`.
    point = int(exponent or 0) + len(significant) - len(fraction)
    return ("-" if value < 0 else "") + _notation(significant.rstrip("0"), point)


def _notation(digits: str, point: int) -> str:
    if len(digits) <= point <= _MAX_DECIMAL_POINT:
        return digits.ljust(point, "0")
    if 0 < point <= _MAX_DECIMAL_POINT:
        return f"{digits[:point]}.{digits[point:]}"
    if _MIN_DECIMAL_POINT < point <= 0:
        return f"0.{'0' * -point}{digits}"
    fraction = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{digits[0]}{fraction}e{point - 1:+d}"


def _object(members: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(members)
    if len(value) != len(members):
        raise InvalidJSONError("an object has a duplicate key")
    return value


def _constant(_: str) -> NoReturn:
    raise InvalidJSONError("not JSON")


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        containers = [one for one in level if isinstance(one, dict | list)]
        if not containers:
            return
        level = [
            inner
            for outer in containers
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
    raise InvalidJSONError("nested too deeply")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_number, parse_float=_number, parse_constant=_constant
)
