"""What Apideck's responses mean: one table, each row with Apideck's page about it.

`detail` is for the caller: it never attributes the operator's problems to them, and never quotes
Apideck. `reason` is for the operator: the status, Apideck's name for the error and the page.
"""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Final, Literal

import httpx

from ..common.connect_failures import cause_of
from ..errors import (
    ApideckError,
    ApideckInvalidResponseError,
    ApideckMisconfiguredError,
    ApideckQuotaExhaustedError,
    ApideckRateLimitedError,
    ApideckRejectedRequestError,
    ApideckTimeoutError,
    ApideckUnavailableError,
    ConnectionNotFoundError,
    FieldError,
    OutOfDescriptorsError,
)
from . import wire

TRANSIENT: Final = frozenset(
    {
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)
"""Statuses after which a retry may help; one that is not needed creates at most a spare token."""

_ERRORS: Final = "https://developers.apideck.com/errors"
_NOT_AVAILABLE: Final = "Integrations are not available right now. Contact support if this lasts."
_TRY_AGAIN: Final = "Integrations are not available right now. Try again shortly."
_MAX_RETRY_AFTER_SECONDS: Final = 3600.0
_ENTITY_NOT_FOUND: Final = "EntityNotFoundError"

NotFound = Literal["none", "named", "all"]
"""Which 404 means that what was requested does not exist: none of them, one that Apideck names
`EntityNotFoundError`, or all."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a status of Apideck means."""

    error: type[ApideckError]
    detail: str
    reason: str
    page: str = _ERRORS


BY_STATUS: Final[Mapping[int, Meaning]] = {
    HTTPStatus.BAD_REQUEST: Meaning(
        ApideckRejectedRequestError,
        _NOT_AVAILABLE,
        "Apideck rejected the request as malformed, or its redirect_uri is not registered there",
        f"{_ERRORS}#requestvalidationerror",
    ),
    HTTPStatus.UNAUTHORIZED: Meaning(
        ApideckMisconfiguredError,
        _NOT_AVAILABLE,
        "Apideck rejected the API key: it is wrong, revoked, or does not belong to this app ID",
        f"{_ERRORS}#unauthorizederror",
    ),
    HTTPStatus.PAYMENT_REQUIRED: Meaning(
        ApideckQuotaExhaustedError,
        _NOT_AVAILABLE,
        "the request quota of your Apideck plan is exhausted",
        f"{_ERRORS}#requestlimiterror",
    ),
    HTTPStatus.NOT_FOUND: Meaning(
        ApideckMisconfiguredError,
        _NOT_AVAILABLE,
        "Apideck did not find the resource; check the app ID and the base URL",
        f"{_ERRORS}#entitynotfounderror",
    ),
    HTTPStatus.UNPROCESSABLE_ENTITY: Meaning(
        ApideckRejectedRequestError,
        _NOT_AVAILABLE,
        "Apideck rejected the request because of the state of the account",
        f"{_ERRORS}#invalidstateerror",
    ),
    HTTPStatus.TOO_MANY_REQUESTS: Meaning(
        ApideckRateLimitedError,
        _TRY_AGAIN,
        "Apideck received too many requests",
        "https://developers.apideck.com/guides/rate-limits",
    ),
}

_REDIRECT: Final = Meaning(
    ApideckMisconfiguredError,
    _NOT_AVAILABLE,
    "Apideck responded with a redirect; check the base URL",
)
_OTHER_4XX: Final = Meaning(
    ApideckRejectedRequestError, _NOT_AVAILABLE, "Apideck rejected the request"
)
_5XX: Final = Meaning(ApideckUnavailableError, _TRY_AGAIN, "Apideck failed")
_UNEXPECTED: Final = Meaning(ApideckInvalidResponseError, _TRY_AGAIN, "expected status 200")


def meaning_of(status: int) -> Meaning:
    """Return the meaning of a status other than 200."""
    by_class = {3: _REDIRECT, 4: _OTHER_4XX, 5: _5XX}
    return BY_STATUS.get(status) or by_class.get(status // 100, _UNEXPECTED)


def error_of(
    status: int, headers: Mapping[str, str], body: bytes, not_found: NotFound = "none"
) -> ApideckError:
    """Return the error for a response other than a 200.

    Args:
        status: its status.
        headers: its headers.
        body: its body; only Apideck's name for the error and the names of fields are used.
        not_found: which 404 means that what was requested does not exist. Every other 404 means
            that the base URL or the app ID is wrong.
    """
    name, fields = wire.error_response(body)
    if status == HTTPStatus.NOT_FOUND and (
        not_found == "all" or (not_found == "named" and name == _ENTITY_NOT_FOUND)
    ):
        return connection_not_found("Apideck does not know it")
    meaning = meaning_of(status)
    error = meaning.error(
        meaning.detail,
        reason=f"{status} {name or 'unnamed'}: {meaning.reason} ({meaning.page})",
        retry_after=_retry_after(headers.get("retry-after")),
    )
    error.transient = status in TRANSIENT
    if isinstance(error, ApideckRejectedRequestError):
        error.fields = fields
    return error


def connection_not_found(reason: str, errors: Iterable[FieldError] = ()) -> ConnectionNotFoundError:
    """Return the error for a connection that does not exist.

    Args:
        reason: why, for the operator.
        errors: the parameters that name it.
    """
    return ConnectionNotFoundError(
        "There is no such integration.", reason=f"no such connection: {reason}", errors=errors
    )


def invalid_response(reason: str) -> ApideckInvalidResponseError:
    """Return the error for a 200 that does not match Apideck's documentation."""
    return ApideckInvalidResponseError(_TRY_AGAIN, reason=f"invalid response of Apideck: {reason}")


def no_response(error: httpx.HTTPError, *, headers_received: bool) -> ApideckUnavailableError:
    """Return the error for a connection that could not be opened, or broke."""
    unavailable = ApideckUnavailableError(
        _TRY_AGAIN, reason=f"no response from Apideck: {cause_of(error)}"
    )
    unavailable.transient = not headers_received
    return unavailable


def out_of_descriptors() -> OutOfDescriptorsError:
    """Return the error for a connection that this process has no file descriptor for."""
    return OutOfDescriptorsError(
        "There are too many requests right now. Try again shortly.",
        reason="no file descriptor left for a connection to Apideck: raise the limit on open files "
        "of this process (ulimit -n)",
        retry_after=1,
    )


def timed_out(seconds: float, *, headers_received: bool) -> ApideckTimeoutError:
    """Return the error for a response that did not arrive, or not completely, within `seconds`."""
    missing = "complete response" if headers_received else "response"
    error = ApideckTimeoutError(
        "Opening integrations takes too long right now. Try again shortly.",
        reason=f"no {missing} from Apideck within {seconds:.3g} s",
    )
    error.transient = not headers_received
    return error


def circuit_open(retry_after: float) -> ApideckUnavailableError:
    """Return the error for a request that was not sent, because most of the last ones failed."""
    return ApideckUnavailableError(
        _TRY_AGAIN,
        reason="no request sent to Apideck, because most of the last ones failed",
        retry_after=retry_after,
    )


def _retry_after(value: str | None) -> float | None:
    """Return the seconds of a Retry-After header (RFC 9110 section 10.2.3)."""
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
