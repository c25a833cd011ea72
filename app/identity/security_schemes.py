"""How callers send credentials, as OpenAPI security schemes."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from ..settings import IdentitySettings
from ..settings.credentials import CredentialLocation

_CSRF = "csrfHeader"
_FURTHER = " The session may consist of further cookies."


def security_schemes(
    settings: IdentitySettings,
) -> tuple[dict[str, Any], list[dict[str, list[str]]]]:
    """Return the security schemes of every source, and the security requirements.

    Each requirement is an alternative. A cookie requires the header against request forgery, too.

    Source: OpenAPI 3.1, "Security Scheme Object" and "Security Requirement Object".
    """
    schemes: dict[str, Any] = {}
    requirements: list[dict[str, list[str]]] = []
    for location in settings.locations():
        key = _key(location)
        schemes[key] = _scheme(location)
        requirement: dict[str, list[str]] = {key: []}
        if location.in_cookies:
            schemes[_CSRF] = {
                "type": "apiKey",
                "in": "header",
                "name": settings.csrf_header,
                "description": "Any value. Required with a cookie, because a page of another "
                "origin cannot add this header.",
            }
            requirement[_CSRF] = []
        requirements.append(requirement)
    return schemes, requirements


def for_reading(requirements: Iterable[Mapping[str, list[str]]]) -> list[dict[str, list[str]]]:
    """Return the requirements of a request that changes nothing: no header against forgery."""
    return [{key: [] for key in one if key != _CSRF} for one in requirements]


def _scheme(location: CredentialLocation) -> dict[str, Any]:
    if location.kind == "authorization":
        return {
            "type": "http",
            "scheme": "bearer",
            "description": "An access token of a person or a service (RFC 6750).",
        }
    if location.kind == "header":
        return {
            "type": "apiKey",
            "in": "header",
            "name": location.name,
            "description": "Only the token, such as the signed assertion of a gateway.",
        }
    return {
        "type": "apiKey",
        "in": "cookie",
        "name": location.cookie_names[0],
        "description": "The cookie of a person who is signed in, sent by a page of an allowed "
        "origin." + (_FURTHER if location.kind == "session" and _has_several(location) else ""),
    }


def _key(location: CredentialLocation) -> str:
    if location.in_cookies:
        # A component's key allows fewer characters than the name of a cookie.
        return f"cookie-{re.sub(r'[^A-Za-z0-9._-]', '-', location.cookie_names[0])}"
    return f"header-{location.name}" if location.name else "bearer"


def _has_several(location: CredentialLocation) -> bool:
    return len(location.cookies) > 1 or location.cookies[0].endswith("*")
