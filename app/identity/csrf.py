"""Protection of requests with a cookie against cross-site request forgery.

A browser sends a cookie whichever page causes the request, so a page of another site could start
sessions in a person's name. But no page can forge the headers that the browser sets, or add a
header of its own without a preflight. Bearer tokens need no such protection, because no browser
sends one by itself. The location of the credential decides, and no setting turns the checks off.

Source: OWASP Cross-Site Request Forgery Prevention Cheat Sheet; Fetch Metadata (W3C).
"""

from collections.abc import Collection, Mapping

from ..errors import ForbiddenOriginError
from .credentials import Headers

_CHECKED = frozenset({b"origin", b"sec-fetch-site", b"content-type"})


def check_page(headers: Headers, origins: Collection[str], csrf_header: str) -> None:
    """Check that a page of an allowed origin sent a request with a cookie.

    Args:
        headers: the headers of the request.
        origins: the exact allowed origins.
        csrf_header: the header that such a request must have, in lower case.

    Raises:
        ForbiddenOriginError: the request fails one of the checks.
    """
    present = _present(headers, csrf_header.encode())
    if present.get("sec-fetch-site") == "cross-site":
        raise _forbidden("a page of another site sent it")
    _check_origin(present, origins)
    if csrf_header not in present:
        raise _forbidden(f"the header {csrf_header} is missing")
    if present.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise _forbidden("its Content-Type is not application/json")


def check_reading_page(headers: Headers, origins: Collection[str]) -> None:
    """Check that a page of an allowed origin sent a request with a cookie that changes nothing.

    Another site's page can cause such a request, but not read its response. It is rejected anyway:
    each request costs a part of the operator's plan at Apideck. A page needs no header of its own
    for it, because the response holds no session.

    Args:
        headers: the headers of the request.
        origins: the exact allowed origins.

    Raises:
        ForbiddenOriginError: no page of an allowed origin sent the request.
    """
    _check_origin(_present(headers, b""), origins)


def _check_origin(present: Mapping[str, str], origins: Collection[str]) -> None:
    origin = present.get("origin")
    if origin is None and present.get("sec-fetch-site") != "same-origin":
        raise _forbidden("neither Origin nor Sec-Fetch-Site names an allowed page")
    if origin is not None and origin not in origins:
        raise _forbidden("its Origin is not in CORS__ALLOW_ORIGINS")


def _present(headers: Headers, csrf_header: bytes) -> Mapping[str, str]:
    present: dict[str, str] = {}
    for name, value in headers:
        if name in _CHECKED or name == csrf_header:
            text = name.decode("latin-1")
            if text in present:
                raise _forbidden(f"the header {text} occurs twice")
            present[text] = value.decode("latin-1")
    return present


def _forbidden(reason: str) -> ForbiddenOriginError:
    return ForbiddenOriginError(
        "This page may not open your connections.", reason=f"possible request forgery: {reason}"
    )
