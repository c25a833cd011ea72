"""Reads a claim at its configured path."""

from functools import lru_cache
from typing import Any, Final

from jsonpointer import EndOfList, JsonPointer

from .models import Claims

ABSENT: Final = object()
"""Stands for a missing claim where null means something else."""


def claim(claims: Claims, path: str, default: object = None) -> Any:
    """Return the claim at a path, or the default when there is no such claim.

    Args:
        claims: the claims to read from.
        path: a claim's name, or a JSON Pointer (RFC 6901) if it begins with a slash.
        default: what to return for a missing claim.
    """
    if not path.startswith("/"):
        return claims.get(path, default)
    value = _pointer(path).resolve(claims, default)
    # `-` points behind the last element of an array, where there is never a value.
    return default if isinstance(value, EndOfList) else value


@lru_cache(maxsize=256)
def _pointer(path: str) -> JsonPointer:
    return JsonPointer(path)
