"""Validation errors of pydantic and FastAPI, as this service lists them in `errors`."""

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any, Final

from ..errors import FieldError

MAX_ERRORS: Final = 32
"""Faults that are listed at most; the rest show once these are corrected."""

_SENTENCES = {
    "extra_forbidden": "There is no such field.",
    "missing": "This field is required.",
    "dict_type": "This must be an object.",
    "list_type": "This must be a list.",
    "string_type": "This must be a string.",
    "bool_type": "This must be true or false.",
    # Pydantic's own sentence for it is the regular expression.
    "string_pattern_mismatch": "This is too long, or has characters that are not allowed.",
}


def field_errors(found: Sequence[Mapping[str, Any]]) -> list[FieldError]:
    """Return what is wrong with which field.

    Args:
        found: what `errors()` of a validation error returns.
    """
    return [
        FieldError(_pointer(one["loc"]), _SENTENCES.get(one["type"]) or _sentence(one["msg"]))
        for one in islice(found, MAX_ERRORS)
    ]


def _sentence(message: str) -> str:
    message = message.removeprefix("Value error, ")
    return f"{message[:1].upper()}{message[1:]}."


def _pointer(location: tuple[int | str, ...]) -> str:
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in location)
