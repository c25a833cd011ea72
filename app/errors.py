"""Everything that can go wrong, without any HTTP.

* VaultBffError
  x ConfigurationError                the settings are wrong; the process does not start
  x RequestRejectedError              the policy does not allow the request
    + InvalidRequestError               malformed: fields of the wrong form
    + FieldNotPermittedError            a field that this caller may not set
    + RedirectNotAllowedError           a redirect target that is not registered
    + ConsumerNotGrantedError           a service names a consumer outside its grant
  x LimitError                        too many requests
    + RateLimitedError                  this caller, or all together, sent too many over time
    + OverloadedError                   too many are in flight
    + OutOfDescriptorsError             the process has too many files open
  x IdentityError                     the caller could not be identified
    + UnauthenticatedError              no credential, or an invalid one
    + AmbiguousCredentialsError         more than one credential in one request
    + CredentialTooLargeError           a credential that no request may contain
    + InsufficientScopeError            a valid credential without the required scope or role
    + MissingClaimError                 an identity without a claim that the mapping needs
    + ForbiddenOriginError              a browser request from a page that is not allowed
    + IdentityProviderUnavailableError  the credential could not be checked right now
  x ApideckError                      Apideck did not do what it was asked to do
    + ApideckRejectedFieldsError        it rejected fields that the caller supplied
    + ApideckRejectedRequestError       it rejected the request for another reason
    + ApideckMisconfiguredError         the API key, app ID or base URL is wrong
    + ApideckQuotaExhaustedError        the request quota of the plan is exhausted
    + ApideckRateLimitedError           it received too many requests
    + ApideckUnavailableError           it is unreachable, or responds with a 5xx
    + ApideckTimeoutError               it did not respond within the deadline
    + ApideckInvalidResponseError       its response does not match its documentation
    + ConnectionNotFoundError           it does not know the connection, or the operator hides it
  x WebhookError                      an event of Apideck was not forwarded: `app.webhooks.errors`
  x ShuttingDownError                 the process ends before there is a response

Each has two messages for two readers: `detail` can be shown to a person, and has no words of HTTP.
`reason` tells the operator what happened, goes to the log, and never contains a secret, a token or
personal data.
"""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FieldError:
    """An error in one field of a request.

    Attributes:
        pointer: the field, as a JSON Pointer (RFC 6901) into the body; "" is the whole body. For a
            parameter it begins with `/path`, `/query`, `/header` or `/cookie`.
        detail: what is wrong with it, as a sentence for the caller's developer.
    """

    pointer: str
    detail: str


class VaultBffError(Exception):
    """Base class of all errors that this service raises deliberately."""

    def __init__(
        self,
        detail: str,
        *,
        reason: str | None = None,
        errors: Iterable[FieldError] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.reason = reason
        self.errors = tuple(errors)
        self.retry_after = retry_after
        """Seconds after which a retry may succeed; None if that is unknown."""


class ConfigurationError(VaultBffError):
    """The settings are wrong; `faults` has one line for each fault."""

    def __init__(self, faults: Iterable[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(self.faults))


class RequestRejectedError(VaultBffError):
    """The policy does not allow the request; nothing was sent to Apideck."""


class InvalidRequestError(RequestRejectedError):
    """The request is malformed."""


class FieldNotPermittedError(RequestRejectedError):
    """The request contains a field that this caller may not set."""


class RedirectNotAllowedError(RequestRejectedError):
    """The redirect target is not registered."""


class ConsumerNotGrantedError(RequestRejectedError):
    """A service named a consumer outside its grant."""


class LimitError(VaultBffError):
    """There are too many requests; nothing was sent to Apideck."""


class RateLimitedError(LimitError):
    """The caller, or all callers together, sent too many requests over time."""


class OverloadedError(LimitError):
    """Too many requests are in flight."""


class OutOfDescriptorsError(LimitError):
    """The process has no file descriptor left for a connection."""


class IdentityError(VaultBffError):
    """The caller could not be identified."""

    issuer: str | None = None
    """The operator's name of the issuer that vouches for the caller, if that is known."""
    subject: str | None = None
    """The issuer's identifier of the caller, if that is known."""


class UnauthenticatedError(IdentityError):
    """There is no credential, or it is invalid.

    `detail` says little on purpose; `reason` says which check failed.
    """

    def __init__(self, detail: str, *, reason: str, presented: bool = True) -> None:
        super().__init__(detail, reason=reason)
        self.presented = presented
        """Whether the request has a credential at all (RFC 6750 section 3.1)."""


class AmbiguousCredentialsError(IdentityError):
    """The request has more than one credential."""


class CredentialTooLargeError(IdentityError):
    """The credential is larger than the limit; it was not parsed."""


class InsufficientScopeError(IdentityError):
    """The credential is valid, but lacks a required scope or role (RFC 6750 section 3.1)."""


class MissingClaimError(IdentityError):
    """The identity lacks a claim that the mapping needs, or its value is unusable."""


class ForbiddenOriginError(IdentityError):
    """A browser sent the request from a page that is not allowed to."""


class IdentityProviderUnavailableError(IdentityError):
    """The credential could not be checked, because its issuer does not respond."""

    endpoint_failing: bool = False
    """Whether every credential is affected, not only the caller's."""


class ApideckError(VaultBffError):
    """Apideck did not do what it was asked to do."""

    request_id: str | None = None
    """Apideck's ID of the failed request; Apideck's support asks for it."""

    transient: bool = False
    """Whether a retry may help."""


class ApideckRejectedFieldsError(ApideckError):
    """Apideck rejected fields that the caller supplied; `errors` names them."""


class ApideckRejectedRequestError(ApideckError):
    """Apideck rejected the request, for a reason that the caller cannot change."""

    fields: frozenset[str] = frozenset()
    """JSON Pointers into the Session of the fields that Apideck's response names."""


class ApideckMisconfiguredError(ApideckError):
    """The operator's API key, app ID or base URL is wrong."""


class ApideckQuotaExhaustedError(ApideckError):
    """The request quota of the operator's plan is exhausted."""


class ApideckRateLimitedError(ApideckError):
    """Apideck received too many requests."""


class ApideckUnavailableError(ApideckError):
    """Apideck is unreachable, or responds with a server error."""


class ApideckTimeoutError(ApideckError):
    """Apideck did not respond within the deadline."""


class ApideckInvalidResponseError(ApideckError):
    """Apideck's response does not match its documentation."""


class ConnectionNotFoundError(ApideckError):
    """Apideck does not know the connection, or the operator does not offer its unified API."""


class ShuttingDownError(VaultBffError):
    """The process ends, and the grace period for requests in flight is over."""
