"""Which credential a request carries; it is looked for, not yet believed."""

import re
from collections.abc import Iterable

from app.errors import AmbiguousCredentialsError, UnauthenticatedError

# RFC 6750 section 2.1: the scheme, one or more spaces, and a b64token; schemes ignore case.
_BEARER = re.compile(rb"bearer +([A-Za-z0-9._~+/-]+=*)", re.IGNORECASE)


def bearer_token(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """Return the bearer token of a request (RFC 6750 section 2.1).

    Args:
        headers: the request's headers as ASGI gives them: names in lower case, repeats kept.

    Raises:
        UnauthenticatedError: when there is none, or it is not of that form.
        AmbiguousCredentialsError: when there are two Authorization headers.
    """
    values = [value for name, value in headers if name == b"authorization"]
    if not values:
        raise UnauthenticatedError(
            "Send an access token in the Authorization header: 'Bearer <token>'.",
            reason="no credential",
            presented=False,
        )
    if len(values) > 1:
        raise AmbiguousCredentialsError("The request has more than one Authorization header.")
    match = _BEARER.fullmatch(values[0].strip())
    if match is None:
        raise UnauthenticatedError(
            "The Authorization header must be 'Bearer <token>'.", reason="not a bearer token"
        )
    return match[1].decode("ascii")
