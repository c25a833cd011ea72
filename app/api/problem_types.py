"""Every problem that this service answers with (RFC 9457), and the error that each stands for."""

from collections.abc import Mapping
from dataclasses import dataclass

from app import errors
from app.errors import VaultBffError


@dataclass(frozen=True, slots=True)
class ProblemType:
    """One type of problem.

    Attributes:
        slug: the last segment of the type's URI. It never changes once published.
        status: the HTTP status that it comes with.
        title: what it is, in a few words; the same for every occurrence.
        remedy: what the caller can do about it.
    """

    slug: str
    status: int
    title: str
    remedy: str


_OPERATOR = "Nothing that you can change helps; the operator of this service has to act."
_AGAIN = "Try again, after as many seconds as Retry-After says where it is given."

INTERNAL_ERROR = ProblemType("internal-error", 500, "Internal error", _AGAIN)
OVERLOADED = ProblemType("overloaded", 503, "Too many requests in flight", _AGAIN)
SHUTTING_DOWN = ProblemType("shutting-down", 503, "Shutting down", _AGAIN)
INVALID_REQUEST = ProblemType(
    "invalid-request",
    422,
    "Invalid request",
    "Mend the fields that `errors` points to.",
)
FORBIDDEN_ORIGIN = ProblemType(
    "forbidden-origin",
    403,
    "Forbidden origin",
    "Call from a page whose origin the operator of this service has listed.",
)
MISDIRECTED = ProblemType(
    "misdirected-request",
    421,
    "Misdirected request",
    "Call the service by a host name that its operator has listed.",
)
BY_STATUS: Mapping[int, ProblemType] = {
    problem.status: problem
    for problem in (
        ProblemType("bad-request", 400, "Bad request", "Send well-formed HTTP."),
        ProblemType(
            "not-found", 404, "Not found", "Mend the path; sessions are at /vault-session."
        ),
        ProblemType(
            "method-not-allowed", 405, "Method not allowed", "Use a method that Allow lists."
        ),
        ProblemType(
            "request-timeout", 408, "Request timeout", "Send the whole request without delay."
        ),
        ProblemType("body-too-large", 413, "Body too large", "Send at most 16 KiB."),
        ProblemType(
            "unsupported-media-type",
            415,
            "Unsupported media type",
            "Send JSON, as `Content-Type: application/json`.",
        ),
        ProblemType(
            "headers-too-large",
            431,
            "Headers too large",
            "Send fewer or smaller headers and cookies; all of them may have 32 KiB.",
        ),
    )
}
"""Problems that HTTP itself raises, by status."""

BY_ERROR: Mapping[type[VaultBffError], ProblemType] = {
    errors.InvalidRequestError: INVALID_REQUEST,
    errors.FieldNotPermittedError: ProblemType(
        "field-not-permitted",
        403,
        "Field not permitted",
        "Leave out the fields that `errors` points to.",
    ),
    errors.RedirectNotAllowedError: ProblemType(
        "redirect-not-allowed",
        403,
        "Redirect not allowed",
        "Ask for a redirect target that the operator of this service has registered.",
    ),
    errors.ConsumerNotGrantedError: ProblemType(
        "consumer-not-granted",
        403,
        "Consumer not granted",
        "Ask for a consumer that this service account may mint for.",
    ),
    errors.UnauthenticatedError: ProblemType(
        "unauthenticated",
        401,
        "Not authenticated",
        "Sign in again, and send a fresh credential.",
    ),
    errors.AmbiguousCredentialsError: ProblemType(
        "ambiguous-credentials", 400, "Ambiguous credentials", "Send exactly one credential."
    ),
    errors.InsufficientScopeError: ProblemType(
        "insufficient-scope",
        403,
        "Insufficient scope",
        "Ask the identity provider for a token with the scope or role that `detail` names.",
    ),
    errors.MissingClaimError: ProblemType(
        "missing-claim",
        403,
        "Missing claim",
        "Sign in to an account or organisation whose sign-in carries the claim.",
    ),
    errors.ForbiddenOriginError: FORBIDDEN_ORIGIN,
    errors.RateLimitedError: ProblemType("rate-limited", 429, "Rate limit reached", _AGAIN),
    errors.OverloadedError: OVERLOADED,
    errors.OutOfDescriptorsError: OVERLOADED,
    errors.IdentityProviderUnavailableError: ProblemType(
        "identity-provider-unavailable", 503, "Identity provider unavailable", _AGAIN
    ),
    errors.ApideckRejectedFieldsError: ProblemType(
        "apideck-rejected-request",
        422,
        "Apideck rejected the request",
        "Mend the fields that `errors` points to.",
    ),
    errors.ApideckRejectedRequestError: ProblemType(
        "apideck-rejected-request", 502, "Apideck rejected the request", _OPERATOR
    ),
    errors.ApideckMisconfiguredError: ProblemType(
        "apideck-misconfigured", 502, "Apideck is misconfigured", _OPERATOR
    ),
    errors.ApideckQuotaExhaustedError: ProblemType(
        "apideck-quota-exhausted", 503, "Apideck quota exhausted", _OPERATOR
    ),
    errors.ApideckRateLimitedError: ProblemType(
        "apideck-rate-limited", 503, "Apideck rate limit reached", _AGAIN
    ),
    errors.ApideckUnavailableError: ProblemType(
        "apideck-unavailable", 503, "Apideck unavailable", _AGAIN
    ),
    errors.ApideckTimeoutError: ProblemType("apideck-timeout", 504, "Apideck timed out", _AGAIN),
    errors.ApideckInvalidResponseError: ProblemType(
        "apideck-invalid-response", 502, "Apideck's answer is invalid", _AGAIN
    ),
    errors.ShuttingDownError: SHUTTING_DOWN,
}
"""One row for each error that a request can end in; a test holds it complete."""

ALL: tuple[ProblemType, ...] = tuple(
    dict.fromkeys([*BY_ERROR.values(), *BY_STATUS.values(), MISDIRECTED, INTERNAL_ERROR])
)


def problem_type_of(error: VaultBffError) -> ProblemType:
    """Return the type of problem that an error is answered with."""
    return BY_ERROR[type(error)]
