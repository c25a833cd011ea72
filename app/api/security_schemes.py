"""The credentials that the service accepts, as OpenAPI describes them."""

import re
from typing import Any

from app.settings import IdentitySettings


def security_schemes(
    identity: IdentitySettings,
) -> tuple[dict[str, dict[str, Any]], list[dict[str, list[str]]]]:
    """Return the schemes by name, and which of them are enough, alone or together."""
    schemes: dict[str, dict[str, Any]] = {}
    cookies = {one.cookie for one in identity.cookie_sessions.values()}
    for issuer in identity.issuers.values():
        if issuer.credential.cookie is not None:
            cookies.add(issuer.credential.cookie)
        elif issuer.credential.header is not None:
            name = issuer.credential.header
            schemes[_key("header", name)] = {
                "type": "apiKey",
                "in": "header",
                "name": name,
                "description": "A token by itself, as a gateway sends its signed assertion.",
            }
        else:
            schemes["bearer"] = {
                "type": "http",
                "scheme": "bearer",
                "description": "An access token of a person or a service (RFC 6750).",
            }
    security: list[dict[str, list[str]]] = [{scheme: []} for scheme in schemes]
    if cookies:
        schemes["notFromAForm"] = {
            "type": "apiKey",
            "in": "header",
            "name": identity.csrf_header,
            "description": "Any value; a page of another origin cannot add it. Required with a "
            "cookie.",
        }
    for cookie in sorted(cookies):
        schemes[_key("cookie", cookie)] = {
            "type": "apiKey",
            "in": "cookie",
            "name": cookie,
            "description": "The cookie of a person who is signed in, sent by a page of a listed "
            "origin.",
        }
        security.append({_key("cookie", cookie): [], "notFromAForm": []})
    return schemes, security


def _key(location: str, name: str) -> str:
    """Return a component's key; fewer characters are allowed in it than in a cookie's name."""
    return f"{location}-{re.sub(r'[^A-Za-z0-9._-]', '-', name)}"
