"""How callers send credentials, as OpenAPI security schemes."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from fastapi.security import APIKeyCookie, APIKeyHeader, HTTPBearer
from fastapi.security.base import SecurityBase

from ..settings import IdentitySettings
from ..settings.credentials import CredentialLocation

_CSRF = "csrfHeader"


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
            description = (
                "Any value. Required with a cookie, because a page of another origin cannot add "
                "this header."
            )
            header = APIKeyHeader(name=settings.csrf_header, description=description)
            schemes[_CSRF] = _described(header)
            requirement[_CSRF] = []
        requirements.append(requirement)
    return schemes, requirements


def for_reading(requirements: Iterable[Mapping[str, list[str]]]) -> list[dict[str, list[str]]]:
    """Return the requirements of a request that changes nothing: no header against forgery."""
    return [{key: [] for key in one if key != _CSRF} for one in requirements]


def _scheme(location: CredentialLocation) -> dict[str, Any]:
    if location.kind == "authorization":
        description = "An access token of a person or a service (RFC 6750)."
        return _described(HTTPBearer(description=description))
    if location.kind == "header":
        description = "Only the token, such as the signed assertion of a gateway."
        return _described(APIKeyHeader(name=location.name, description=description))
    description = "The cookie of a person who is signed in, sent by a page of an allowed origin."
    if len(location.cookies) > 1 or any(one.endswith("*") for one in location.cookies):
        description += " The session may consist of further cookies."
    return _described(APIKeyCookie(name=location.cookie_names[0], description=description))


def _described(scheme: SecurityBase) -> dict[str, Any]:
    return scheme.model.model_dump(mode="json", by_alias=True, exclude_none=True)


def _key(location: CredentialLocation) -> str:
    if location.in_cookies:
        # A component's key allows fewer characters than the name of a cookie.
        return f"cookie-{re.sub(r'[^A-Za-z0-9._-]', '-', location.cookie_names[0])}"
    return f"header-{location.name}" if location.name else "bearer"
