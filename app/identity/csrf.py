"""Requests that a browser sends with a cookie by itself, told from those its person meant.

A cookie comes along whoever's page made the request, so a foreign page could have sessions minted
in a person's name. What a foreign page cannot do is forge the headers that browsers themselves
set, or add a header of its own without asking. A bearer token needs none of this: no browser adds
one by itself. Which of the two it is, the place of the credential decides, and no setting can turn
the checks off.

Source: OWASP Cross-Site Request Forgery Prevention Cheat Sheet; Fetch Metadata (W3C).
"""

from collections.abc import Collection, Mapping

from app.errors import ForbiddenOriginError
from app.identity.credentials import Headers

_LOOKED_AT = frozenset({b"origin", b"sec-fetch-site", b"content-type"})


def check_page(headers: Headers, origins: Collection[str], csrf_header: str) -> None:
    """Make sure that a request with a cookie comes from a page that may mint.

    Args:
        headers: the request's headers.
        origins: the exact origins whose pages may.
        csrf_header: the header that such a request must carry, in lower case.

    Raises:
        ForbiddenOriginError: when it does not, saying what is missing.
    """
    seen = _seen(headers, csrf_header.encode())
    origin, site = seen.get("origin"), seen.get("sec-fetch-site")
    if site == "cross-site":
        raise _forbidden("sent by a page of another site")
    if origin is None and site != "same-origin":
        raise _forbidden("neither Origin nor Sec-Fetch-Site says that its page is ours")
    if origin is not None and origin not in origins:
        raise _forbidden("its Origin is not in CORS__ALLOW_ORIGINS")
    if csrf_header not in seen:
        raise _forbidden(f"it lacks the header {csrf_header}")
    if seen.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise _forbidden("its Content-Type is not application/json")


def _seen(headers: Headers, csrf_header: bytes) -> Mapping[str, str]:
    seen: dict[str, str] = {}
    for name, value in headers:
        if name in _LOOKED_AT or name == csrf_header:
            text = name.decode("latin-1")
            if text in seen:
                raise _forbidden(f"the header {text} stands twice")
            seen[text] = value.decode("latin-1")
    return seen


def _forbidden(reason: str) -> ForbiddenOriginError:
    return ForbiddenOriginError(
        "A request with a session cookie must be sent by a page of this application, as JSON and "
        "with the header that marks it.",
        reason=f"possible request forgery: {reason}",
    )
