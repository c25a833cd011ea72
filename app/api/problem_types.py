"""The table of problem types (RFC 9457): what each error is to the caller.

`detail` can be shown to a person, so it has no words of HTTP; tests check that. Everything else is
for the developer of the caller: `title`, the `detail` of a single field in `errors`, and `advice`,
which is on the type's page and in the OpenAPI document.
"""

from collections.abc import Mapping
from http import HTTPStatus

from .. import errors
from ..errors import FieldError, VaultBffError
from ..webhooks import errors as webhook_errors
from .problem_type import OPERATOR, RETRY, ProblemType
from .status_problems import BY_STATUS, HEADERS_TOO_LARGE

INTERNAL_ERROR = ProblemType(
    "internal-error",
    HTTPStatus.INTERNAL_SERVER_ERROR,
    "Internal error",
    "This is a bug in the service. The operator finds it in the log by `request_id`.",
    "Something went wrong. Please try again later.",
)
OVERLOADED = ProblemType("overloaded", HTTPStatus.SERVICE_UNAVAILABLE, "Service overloaded", RETRY)
INVALID_REQUEST = ProblemType(
    "invalid-request",
    HTTPStatus.UNPROCESSABLE_ENTITY,
    "Invalid request",
    "Correct the fields listed in `errors`.",
    "The request is not valid.",
    example=FieldError("/connection/service_id", "This field is required."),
)

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
        "Send a credential that this service accepts: `securitySchemes` in `/openapi.json` lists "
        "them, as the operator has configured them. If one was sent, sign in again and send a new "
        "one; the operator's log says why it was rejected.",
    ),
    errors.AmbiguousCredentialsError: ProblemType(
        "ambiguous-credentials",
        HTTPStatus.BAD_REQUEST,
        "Ambiguous credentials",
        "Send exactly one credential. Two are rejected even if they are equal.",
    ),
    errors.CredentialTooLargeError: HEADERS_TOO_LARGE,
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
        f"{RETRY} RateLimit and RateLimit-Policy say how much of each limit is left.",
    ),
    errors.OverloadedError: OVERLOADED,
    errors.OutOfDescriptorsError: OVERLOADED,
    errors.IdentityProviderUnavailableError: ProblemType(
        "identity-provider-unavailable",
        HTTPStatus.SERVICE_UNAVAILABLE,
        "Identity provider unavailable",
        RETRY,
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
        OPERATOR,
    ),
    errors.ApideckMisconfiguredError: ProblemType(
        "apideck-misconfigured", HTTPStatus.BAD_GATEWAY, "Apideck is misconfigured", OPERATOR
    ),
    errors.ApideckQuotaExhaustedError: ProblemType(
        "apideck-quota-exhausted",
        HTTPStatus.SERVICE_UNAVAILABLE,
        "Apideck quota exhausted",
        OPERATOR,
    ),
    errors.ApideckRateLimitedError: ProblemType(
        "apideck-rate-limited", HTTPStatus.SERVICE_UNAVAILABLE, "Apideck rate limit reached", RETRY
    ),
    errors.ApideckUnavailableError: ProblemType(
        "apideck-unavailable", HTTPStatus.SERVICE_UNAVAILABLE, "Apideck unavailable", RETRY
    ),
    errors.ApideckTimeoutError: ProblemType(
        "apideck-timeout", HTTPStatus.GATEWAY_TIMEOUT, "Apideck timed out", RETRY
    ),
    errors.ApideckInvalidResponseError: ProblemType(
        "apideck-invalid-response", HTTPStatus.BAD_GATEWAY, "Invalid response from Apideck", RETRY
    ),
    webhook_errors.InvalidSignatureError: ProblemType(
        "invalid-signature",
        HTTPStatus.UNAUTHORIZED,
        "Invalid signature",
        "Only Apideck can call this endpoint. If it was Apideck, the API key that signed the event "
        "belongs to another Unify app, or was replaced too long ago.",
    ),
    webhook_errors.InvalidEventError: ProblemType(
        "invalid-event",
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "Invalid event",
        "The event has no usable id, type or time, or belongs to another Unify app.",
    ),
    webhook_errors.StaleEventError: ProblemType(
        "stale-event",
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "Stale event",
        "The event is older than `WEBHOOKS__MAX_AGE_HOURS`, or is dated in the future.",
    ),
    webhook_errors.RelayOverloadedError: OVERLOADED,
    webhook_errors.TargetFailedError: ProblemType(
        "webhook-target-failed",
        HTTPStatus.BAD_GATEWAY,
        "Webhook target failed",
        "Have the endpoint at `WEBHOOKS__TARGET_URL` respond with a 2xx. Apideck delivers the "
        "event again.",
    ),
    webhook_errors.TargetTimeoutError: ProblemType(
        "webhook-target-timeout",
        HTTPStatus.GATEWAY_TIMEOUT,
        "Webhook target timed out",
        "Have the endpoint at `WEBHOOKS__TARGET_URL` respond before it processes the event. "
        "Apideck delivers the event again.",
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
        "shutting-down", HTTPStatus.SERVICE_UNAVAILABLE, "Shutting down", RETRY
    ),
}
"""One row for each error that a request can end in; a test checks that none is missing."""

ALL: tuple[ProblemType, ...] = tuple(
    dict.fromkeys([*BY_ERROR.values(), *BY_STATUS.values(), INTERNAL_ERROR])
)
