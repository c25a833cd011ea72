"""Verify Apideck's signature of an event: HMAC-SHA256, with the API key as the secret. Pure.

The attack: a forged or altered event. Only Apideck and this service have the API key, so an event
with a valid signature is Apideck's. The signature is the only proof: nothing in the body and no
other header is used before it has been verified.

Apideck's guide signs the sorted form of the body, Apideck's samples sign the raw body or leave
arrays unsorted, and the encoding is hex or base64. All of these are accepted: each needs the key.

Source: https://developers.apideck.com/guides/webhook-signature-verification
"""

import binascii
import hashlib
import hmac
import re
from base64 import b64decode
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from . import javascript_json

MAX_BODY_BYTES: Final = 262_144
"""Bytes that an event may have."""

_HEX = re.compile(r"[0-9A-Fa-f]{64}")
_BASE64 = re.compile(r"[A-Za-z0-9+/]{43}=")


@dataclass(frozen=True, slots=True)
class SignedContent:
    """What a valid signature covers.

    Attributes:
        content: the bytes that Apideck signed: the body, or its sorted form. Two bodies with the
            same sorted form have the same signature, so this is all that may be used and forwarded.
        key_index: which of the keys verified it.
    """

    content: bytes = field(repr=False)
    key_index: int


def is_signature(text: str) -> bool:
    """Return whether a header has the form of a signature."""
    return _decoded(text) is not None


def verify_raw(body: bytes, signature: str, keys: Sequence[str]) -> SignedContent | None:
    """Return the body if the signature covers it as received, or None.

    Args:
        body: the body of the request, as received.
        signature: the header `x-apideck-signature`.
        keys: the API keys that Apideck may have used, printable ASCII.
    """
    return _verify([body], body, signature, keys)


def verify_sorted(body: bytes, signature: str, keys: Sequence[str]) -> SignedContent | None:
    """Return a sorted form of the body if the signature covers it, or None.

    Anyone can have this parse and sort a body, which takes up to a quarter of a second for one of
    the greatest size. So call it where it delays nothing else.

    Args:
        body: the body of the request, as received.
        signature: the header `x-apideck-signature`.
        keys: the API keys that Apideck may have used, printable ASCII.
    """
    return _verify(_sorted_forms(body), body, signature, keys)


def _verify(
    forms: Iterable[bytes], body: bytes, signature: str, keys: Sequence[str]
) -> SignedContent | None:
    expected = _decoded(signature)
    if expected is None or len(body) > MAX_BODY_BYTES:
        return None
    for content in forms:
        for index, key in enumerate(keys):
            digest = hmac.digest(key.encode("ascii"), content, hashlib.sha256)
            if hmac.compare_digest(digest, expected):
                return SignedContent(content, index)
    return None


def _sorted_forms(body: bytes) -> Iterator[bytes]:
    try:
        value = javascript_json.parse(body)
    except javascript_json.InvalidJSONError:
        return
    outside_arrays = javascript_json.sorted_text(value, inside_arrays=False)
    yield outside_arrays
    everywhere = javascript_json.sorted_text(value, inside_arrays=True)
    if everywhere != outside_arrays:
        yield everywhere


def _decoded(signature: str) -> bytes | None:
    if _HEX.fullmatch(signature):
        return binascii.unhexlify(signature)
    if _BASE64.fullmatch(signature):
        return b64decode(signature)
    return None
