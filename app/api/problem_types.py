"""The table of problem types (RFC 9457): what each error is to the caller.

`detail` can be shown to a person. `advice` is for the developer of the caller; it is on the type's
page and in the OpenAPI document.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

from app import errors
from app.errors import FieldError, VaultBffError


@dataclass(frozen=True, slots=True)
class ProblemType:
    """One type of problem.

    Attributes:
        slug: the last segment of the type's URI. It never changes once published.
        status: the HTTP status of the response.
        title: a short name; the same for every occurrence.
        advice: what a developer can do about it.
        detail: a sentence for a person, for errors that have none of their own.
        example: a fault of one field, for the OpenAPI document.
    """

    slug: str
    status: int
    title: str
    advice: str
    detail: str = ""
    example: FieldError | None = None


_RETRY = "Try again later; if the response has Retry-After, wait for that many seconds."
_OPERATOR = "The caller cannot fix this; the operator of the service has to."

BLANK = "about:blank"
"""The type of a problem that means no more than its HTTP status (RFC 9457 section 4.2.1)."""

INTERNAL_ERROR = ProblemType(
    "internal-error",
    HTTPStatus.INTERNAL_SERVER_ERROR,
    "Internal error",
    "This is a bug in the service. The operator finds it in the log by `request_id`.",
    "Something went wrong. Please try again later.",
)
OVERLOADED = ProblemType("overloaded", HTTPStatus.SERVICE_UNAVAILABLE, "Service overloaded", _RETRY)
INVALID_REQUEST = ProblemType(
    "invalid-request",
    HTTPStatus.UNPROCESSABLE_ENTITY,
    "Invalid request",
    "Correct the fields listed in `errors`.",
    "The request is not valid.",
    example=FieldError("/connection/service_id", "This field is required."),
)

_BY_STATUS = (
    ProblemType(
        "bad-request",
        HTTPStatus.BAD_REQUEST,
        "Bad request",
        "The request is not well-formed HTTP. Check the client library and any proxy in between.",
        "The request could not be understood.",
    ),
    ProblemType(
        "not-found",
        HTTPStatus.NOT_FOUND,
        "Not found",
        "Check the path: it is case-sensitive, and has no slash at the end.",
        "There is nothing at this address.",
    ),
    ProblemType(
        "method-not-allowed",
        HTTPStatus.METHOD_NOT_ALLOWED,
        "Method not allowed",
        "Use a method that the Allow header lists.",
        "This address does not support this action.",
    ),
    ProblemType(
        "request-timeout",
        HTTPStatus.REQUEST_TIMEOUT,
        "Request timeout",
        "Send the request faster; the limit is the operator's `SERVER__RECEIVE_TIMEOUT_SECONDS`.",
        "The request took too long to arrive. Please try again.",
    ),
    ProblemType(
        "body-too-large",
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "Body too large",
        "Send a smaller body; a request for a session has at most 16 KiB.",
        "The request is too large.",
    ),
    ProblemType(
        "unsupported-media-type",
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        "Unsupported media type",
        "Send JSON with `Content-Type: application/json`.",
        "The request is in a format that is not supported.",
    ),
    ProblemType(
        "misdirected-request",
        HTTPStatus.MISDIRECTED_REQUEST,
        "Misdirected request",
        "Use a host name that the operator has listed (`SERVER__ALLOWED_HOSTS`).",
        "This address is not served here.",
    ),
    ProblemType(
        "headers-too-large",
        HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
        "Headers too large",
        "Send fewer or smaller headers and cookies; together they have at most 32 KiB.",
        "The sign-in data or cookies sent with the request are too large.",
    ),
)
BY_STATUS: Mapping[int, ProblemType] = {one.status: one for one in _BY_STATUS}
"""Problems that HTTP itself raises, by status."""

BY_ERROR: Mapping[type[VaultBffError], ProblemType] = {
    errors.InvalidRequestError: INVALID_REQUEST,
    errors.FieldNotPermittedError: ProblemType(
        "field-not-permitted",
        HTTPStatus.FORBIDDEN,
        "Field not permitted",
        "Remove the fields listed in `errors`. The operator decides who may set which fields.",
        example=FieldError("/theme/logo", "You may not set this field."),
    ),
    errors.RedirectNotAllowedError: ProblemType(
        "redirect-not-allowed",
        HTTPStatus.FORBIDDEN,
        "Redirect not allowed",
        "Use a redirect target that the operator has registered (`SESSION__RETURN_TO`).",
        example=FieldError("/return_to", "No redirect target has this name."),
    ),
    errors.ConsumerNotGrantedError: ProblemType(
        "consumer-not-granted",
        HTTPStatus.FORBIDDEN,
        "Consumer not granted",
        "Use a consumer that the operator has granted to this service account.",
        example=FieldError("/consumer_id", "Outside the grant of this service."),
    ),
    errors.UnauthenticatedError: ProblemType(
        "unauthenticated",
        HTTPStatus.UNAUTHORIZED,
        "Not authenticated",
        "Send a credential: an access token as `Authorization: Bearer <token>`, or the header or "
        "cookie that the operator has configured. If one was sent, sign in again and send a new "
        "one; the operator's log says why it was rejected.",
    ),
    errors.AmbiguousCredentialsError: ProblemType(
        "ambiguous-credentials",
        HTTPStatus.BAD_REQUEST,
        "Ambiguous credentials",
        "Send exactly one credential. Two are rejected even if they are equal.",
    ),
    errors.InsufficientScopeError: ProblemType(
        "insufficient-scope",
        HTTPStatus.FORBIDDEN,
        "Insufficient scope",
        "Use a token that has the scope or role that the operator requires.",
    ),
    errors.MissingClaimError: ProblemType(
        "missing-claim",
        HTTPStatus.FORBIDDEN,
        "Missing claim",
        "Sign in to an account or organization that has the claim, have the identity provider add "
        "it to the token, or have the operator map another one (`…CLAIMS__…`).",
    ),
    errors.ForbiddenOriginError: ProblemType(
        "forbidden-origin",
        HTTPStatus.FORBIDDEN,
        "Forbidden origin",
        "Call from a page whose origin the operator has listed (`CORS__ALLOW_ORIGINS`), with a "
        "method and headers that the service allows. With a cookie, send the header that protects "
        "against forged requests, too (`IDENTITY__CSRF_HEADER`).",
    ),
    errors.RateLimitedError: ProblemType(
        "rate-limited",
        HTTPStatus.TOO_MANY_REQUESTS,
        "Rate limit reached",
        f"{_RETRY} RateLimit and RateLimit-Policy say how much of each limit is left.",
    ),
    errors.OverloadedError: OVERLOADED,
    errors.OutOfDescriptorsError: OVERLOADED,
    errors.IdentityProviderUnavailableError: ProblemType(
        "identity-provider-unavailable",
        HTTPStatus.SERVICE_UNAVAILABLE,
        "Identity provider unavailable",
        _RETRY,
    ),
    errors.ApideckRejectedFieldsError: ProblemType(
        "apideck-rejected-request",
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "Apideck rejected the request",
        "Correct the fields listed in `errors`.",
        example=FieldError("/theme/logo", "Apideck rejected this value."),
    ),
    errors.ApideckRejectedRequestError: ProblemType(
        "apideck-rejected-request",
        HTTPStatus.BAD_GATEWAY,
        "Apideck rejected the request",
        _OPERATOR,
    ),
    errors.ApideckMisconfiguredError: ProblemType(
        "apideck-misconfigured", HTTPStatus.BAD_GATEWAY, "Apideck is misconfigured", _OPERATOR
    ),
    errors.ApideckQuotaExhaustedError: ProblemType(
        "apideck-quota-exhausted",
        HTTPStatus.SERVICE_UNAVAILABLE,
        "Apideck quota exhausted",
        _OPERATOR,
    ),
    errors.ApideckRateLimitedError: ProblemType(
        "apideck-rate-limited", HTTPStatus.SERVICE_UNAVAILABLE, "Apideck rate limit reached", _RETRY
    ),
    errors.ApideckUnavailableError: ProblemType(
        "apideck-unavailable", HTTPStatus.SERVICE_UNAVAILABLE, "Apideck unavailable", _RETRY
    ),
    errors.ApideckTimeoutError: ProblemType(
        "apideck-timeout", HTTPStatus.GATEWAY_TIMEOUT, "Apideck timed out", _RETRY
    ),
    errors.ApideckInvalidResponseError: ProblemType(
        "apideck-invalid-response", HTTPStatus.BAD_GATEWAY, "Invalid response from Apideck", _RETRY
    ),
    errors.ConnectionNotFoundError: ProblemType(
        "connection-not-found",
        HTTPStatus.NOT_FOUND,
        "Connection not found",
        "Use the `unified_api` and `service_id` of a connector that the list has. The operator "
        "decides which unified APIs are on offer (`SESSION__DEFAULTS__SETTINGS`).",
        example=FieldError("/path/unified_api", "This unified API is not available."),
    ),
    errors.ShuttingDownError: ProblemType(
        "shutting-down", HTTPStatus.SERVICE_UNAVAILABLE, "Shutting down", _RETRY
    ),
}
"""One row for each error that a request can end in; a test checks that none is missing."""

ALL: tuple[ProblemType, ...] = tuple(
    dict.fromkeys([*BY_ERROR.values(), *BY_STATUS.values(), INTERNAL_ERROR])
)
