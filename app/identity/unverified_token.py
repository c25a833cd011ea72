"""A compact JWS, parsed but not verified (RFC 7515 section 7.1)."""

import binascii
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
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
        signature: the signature.
    """

    text: str = field(repr=False)
    header: dict[str, Any] = field(repr=False)
    claims: dict[str, Any] = field(repr=False)
    signature: bytes = field(repr=False)

    @property
    def signing_input(self) -> bytes:
        """Return what the signature is of (RFC 7515 section 5.2): all before the last dot."""
        return self.text.rpartition(".")[0].encode()


def parse(text: str) -> UnverifiedToken | None:
    """Parse a compact JWS; return None for text of another form, such as an opaque token.

    Raises:
        UnauthenticatedError: the text has this form, but its parts are not base64url, or the header
            and the claims set are not JSON objects.
    """
    if _COMPACT.fullmatch(text) is None:
        return None
    header, claims, signature = text.split(".")
    return UnverifiedToken(
        text,
        _object(_decoded(header, "header"), "header"),
        _object(_decoded(claims, "payload"), "payload"),
        _decoded(signature, "signature"),
    )


def _decoded(segment: str, part: str) -> bytes:
    """Return the bytes of a segment (RFC 7515 section 2), of which there is only one spelling.

    The last character can have bits that belong to no byte. With other values in these bits, many
    different texts would be the same token.
    """
    try:
        decoded = urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
    except binascii.Error:
        decoded = b""
    if urlsafe_b64encode(decoded).rstrip(b"=").decode() != segment:
        raise invalid(f"the {part} is not base64url")
    return decoded


def _object(text: bytes, part: str) -> dict[str, Any]:
    if text.count(b",") > _MAX_COMMAS:
        raise invalid(f"the {part} has more than {_MAX_COMMAS} values")
    try:
        value = strict_json.loads(text)
    except strict_json.InvalidJSONError:
        raise invalid(f"the {part} is not JSON") from None
    if not isinstance(value, dict):
        raise invalid(f"the {part} is not a JSON object")
    return value
