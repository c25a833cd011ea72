"""What Apideck's answers mean: one table, each row with Apideck's own page about it.

What the caller is told (`detail`) never blames them for the operator's troubles, and never quotes
Apideck. What the operator is told (`reason`) names the status, Apideck's own name for the error
where it gives one, and the page.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

import httpx

from app.apideck import wire
from app.errors import (
    ApideckError,
    ApideckInvalidResponseError,
    ApideckMisconfiguredError,
    ApideckQuotaExhaustedError,
    ApideckRateLimitedError,
    ApideckRejectedRequestError,
    ApideckTimeoutError,
    ApideckUnavailableError,
    OutOfDescriptorsError,
)

_ERRORS = "https://developers.apideck.com/errors"
_OURS = "This service cannot open integrations just now. Its operator has been told."
_LATER = "Integrations cannot be opened just now; try again shortly."
_MAX_RETRY_AFTER_SECONDS = 3600.0

UNAUTHORIZED = 401
TRANSIENT = frozenset({429, 502, 503, 504})
"""Statuses after which asking again may help; a retry can mint no more than one spare token."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """What one kind of answer means."""

    error: type[ApideckError]
    detail: str
    reason: str
    page: str = _ERRORS


BY_STATUS: Mapping[int, Meaning] = {
    400: Meaning(
        ApideckRejectedRequestError,
        _OURS,
        "Apideck refused the request as malformed, or its redirect_uri is not registered there",
        f"{_ERRORS}#requestvalidationerror",
    ),
    401: Meaning(
        ApideckMisconfiguredError,
        _OURS,
        "Apideck refused the API key: it is wrong, revoked, or not of this app id",
        f"{_ERRORS}#unauthorizederror",
    ),
    402: Meaning(
        ApideckQuotaExhaustedError,
        _OURS,
        "the requests that your Apideck plan includes are spent",
        f"{_ERRORS}#requestlimiterror",
    ),
    404: Meaning(
        ApideckMisconfiguredError,
        _OURS,
        "Apideck does not find what was asked for; check the app id and the base URL",
        f"{_ERRORS}#entitynotfounderror",
    ),
    422: Meaning(
        ApideckRejectedRequestError,
        _OURS,
        "Apideck refused the request in the state that the account is in",
        f"{_ERRORS}#invalidstateerror",
    ),
    429: Meaning(
        ApideckRateLimitedError,
        _LATER,
        "Apideck asks for fewer requests",
        "https://developers.apideck.com/guides/rate-limits",
    ),
}

_REDIRECT = Meaning(
    ApideckMisconfiguredError, _OURS, "Apideck answered with a redirect; check the base URL"
)
_OTHER_4XX = Meaning(ApideckRejectedRequestError, _OURS, "Apideck refused the request")
_5XX = Meaning(ApideckUnavailableError, _LATER, "Apideck failed")
_UNEXPECTED = Meaning(ApideckInvalidResponseError, _LATER, "Apideck answered with a strange status")


def meaning_of(status: int) -> Meaning:
    """Return what an answer's status means; every status but 200 has a meaning."""
    by_class = {3: _REDIRECT, 4: _OTHER_4XX, 5: _5XX}
    return BY_STATUS.get(status) or by_class.get(status // 100, _UNEXPECTED)


def refusal(status: int, headers: Mapping[str, str], body: bytes) -> ApideckError:
    """Return the error that an answer other than a 200 stands for."""
    meaning = meaning_of(status)
    name, fields = wire.failure(body)
    error = meaning.error(
        meaning.detail,
        reason=f"{status} {name or 'unnamed'}: {meaning.reason} ({meaning.page})",
        retry_after=_retry_after(headers.get("retry-after")),
    )
    error.transient = status in TRANSIENT
    if isinstance(error, ApideckRejectedRequestError):
        error.fields = fields
    return error


def invalid_answer(what: str) -> ApideckInvalidResponseError:
    """Return the error for a 200 that breaks Apideck's own contract."""
    return ApideckInvalidResponseError(_LATER, reason=f"Apideck's answer is {what}")


def unreachable(error: httpx.HTTPError, *, answered: bool) -> ApideckUnavailableError:
    """Return the error for a connection that could not be made, or broke.

    Args:
        error: what happened to it.
        answered: whether an answer had begun.
    """
    made = ApideckUnavailableError(
        _LATER, reason=f"no answer from Apideck: {type(error).__name__}: {error}"
    )
    made.transient = not answered
    return made


def out_of_descriptors() -> OutOfDescriptorsError:
    """Return the error for a connection that this process has no file descriptor for."""
    return OutOfDescriptorsError(
        "There are too many requests at the moment. Try again shortly.",
        reason="no file descriptor left for a connection to Apideck: raise the limit on open files "
        "of this process (ulimit -n)",
        retry_after=1,
    )


def too_slow(seconds: float, *, answered: bool) -> ApideckTimeoutError:
    """Return the error for an answer that was not there, or not whole, after so many seconds."""
    made = ApideckTimeoutError(
        "Opening integrations takes too long just now; try again shortly.",
        reason=f"no {'whole ' if answered else ''}answer from Apideck within {seconds:.3g} s",
    )
    made.transient = not answered
    return made


def not_asked(retry_after: float) -> ApideckUnavailableError:
    """Return the error for a request that was not made, because the last ones mostly failed."""
    return ApideckUnavailableError(
        _LATER,
        reason="Apideck was not asked: it failed too often just before",
        retry_after=retry_after,
    )


def _retry_after(value: str | None) -> float | None:
    """Return the seconds that a Retry-After header asks for (RFC 9110 section 10.2.3)."""
    if value is None:
        return None
    if value.isascii() and value.isdigit():
        seconds = float(value)
    else:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - time.time()
        except (ValueError, TypeError, OverflowError):
            return None
    return min(max(seconds, 0.0), _MAX_RETRY_AFTER_SECONDS)
