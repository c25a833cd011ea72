"""Finding a claim by its configured path."""

from functools import lru_cache
from typing import Any

from jsonpointer import JsonPointer

from app.identity.models import Claims


def claim(claims: Claims, path: str) -> Any:
    """Return the claim at a path, or None where there is none.

    Args:
        claims: the claims to look in.
        path: a claim's name, or a JSON Pointer (RFC 6901) when it begins with a slash.
    """
    return _pointer(path).resolve(claims, None) if path.startswith("/") else claims.get(path)


@lru_cache(maxsize=256)
def _pointer(path: str) -> JsonPointer:
    return JsonPointer(path)
