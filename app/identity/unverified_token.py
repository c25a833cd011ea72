"""A compact JWS, parsed but not verified (RFC 7515 section 7.1)."""

import binascii
import re
from base64 import urlsafe_b64decode
from dataclasses import dataclass, field
from typing import Any, Final

from ..common import strict_json
from .findings import invalid

_MAX_COMMAS: Final = 2000
"""Commas in the header or the payload. A token of the greatest size has fewer than 1,000 groups. A
forged one without this limit could have 12,000 values, which take 9 ms to parse."""

_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class UnverifiedToken:
    """A parsed token. Nothing in it is verified.

    Attributes:
        text: the token itself.
        header: the JOSE header.
        claims: the claims set.
    """

    text: str = field(repr=False)
    header: dict[str, Any] = field(repr=False)
    claims: dict[str, Any] = field(repr=False)


def parse(text: str) -> UnverifiedToken | None:
    """Parse a compact JWS; return None for text of another form, such as an opaque token.

    Raises:
        UnauthenticatedError: the text has this form, but its parts are not JSON objects.
    """
    if _COMPACT.fullmatch(text) is None:
        return None
    header, claims, _ = text.split(".")
    return UnverifiedToken(text, _object(header, "header"), _object(claims, "payload"))


def _object(segment: str, part: str) -> dict[str, Any]:
    try:
        text = urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
        if text.count(b",") > _MAX_COMMAS:
            raise invalid(f"the {part} has more than {_MAX_COMMAS} values")
        value = strict_json.loads(text)
    except (binascii.Error, strict_json.InvalidJSONError):
        raise invalid(f"the {part} is not JSON") from None
    if not isinstance(value, dict):
        raise invalid(f"the {part} is not a JSON object")
    return value
