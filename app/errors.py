"""Everything that can go wrong, and nothing about HTTP.

* VaultBffError
  x ConfigurationError                the settings are wrong; the process does not start
  x RequestRejectedError                      what the caller asked for is not to be had
    + InvalidRequestError               malformed: fields of the wrong shape
    + FieldNotPermittedError            well-formed, but not this caller's to set
    + RedirectNotAllowedError           not a registered redirect target
    + ConsumerNotGrantedError           a service asked for a consumer outside its grant
  x LimitError                        there is too much of it just now
    + RateLimitedError                  this caller, or all together, asked too often
    + OverloadedError                   more requests in flight than can be worked on
  x IdentityError                     who is calling could not be established
    + UnauthenticatedError              no credential, or one that does not hold
    + AmbiguousCredentialsError         two credentials in one request
    + InsufficientScopeError            the credential holds, but lacks a scope or role
    + MissingClaimError                 the identity lacks what the mapping needs
    + ForbiddenOriginError              a browser request from a page that may not mint
    + IdentityProviderUnavailableError  the credential could not be checked just now
  x ApideckError                      Apideck did not mint the session
    + ApideckRejectedFieldsError        it refused fields that the caller supplied
    + ApideckRejectedRequestError       it refused what we or the operator put in
    + ApideckMisconfiguredError         key, app id or base URL are wrong
    + ApideckQuotaExhaustedError        the plan's requests are spent
    + ApideckRateLimitedError           too many requests for Apideck just now
    + ApideckUnavailableError           unreachable, or answering 5xx
    + ApideckTimeoutError               no answer within the deadline
    + ApideckInvalidResponseError       an answer that breaks Apideck's own contract
  x ShuttingDownError                 the process ends before there is an answer

Each carries two messages for two readers: `detail` tells the caller what to do; `reason` tells the
operator what happened, goes to the log, and never holds a secret, a token or a person's data.
"""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing wrong with one field.

    Attributes:
        pointer: where, as a JSON Pointer (RFC 6901) into the request body; "" is the whole body.
        detail: what is wrong with it, in a sentence for the caller.
    """

    pointer: str
    detail: str


class VaultBffError(Exception):
    """Base of every error that this service raises on purpose."""

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
        """Seconds after which trying again makes sense; None where nobody knows."""


class ConfigurationError(VaultBffError):
    """The settings are wrong; `faults` has one line for each fault."""

    def __init__(self, faults: Iterable[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(self.faults))


class RequestRejectedError(VaultBffError):
    """What the caller asked for is not to be had; nothing was sent to Apideck."""


class InvalidRequestError(RequestRejectedError):
    """The request body is malformed."""


class FieldNotPermittedError(RequestRejectedError):
    """The request sets a field that this caller may not set."""


class RedirectNotAllowedError(RequestRejectedError):
    """The redirect target is none of the registered ones."""


class ConsumerNotGrantedError(RequestRejectedError):
    """A service asked to mint for a consumer outside its grant."""


class LimitError(VaultBffError):
    """There is too much of it just now; nothing was sent to Apideck."""


class RateLimitedError(LimitError):
    """The caller, or all callers together, asked too often."""


class OverloadedError(LimitError):
    """More requests are in flight than can be worked on."""


class IdentityError(VaultBffError):
    """Who is calling could not be established."""


class UnauthenticatedError(IdentityError):
    """There is no credential, or it does not hold.

    The caller is told little on purpose: `reason` says which check failed.
    """

    def __init__(self, detail: str, *, reason: str, presented: bool = True) -> None:
        super().__init__(detail, reason=reason)
        self.presented = presented
        """Whether a credential was presented at all (RFC 6750 section 3.1)."""


class AmbiguousCredentialsError(IdentityError):
    """The request carries more than one credential."""


class InsufficientScopeError(IdentityError):
    """The credential holds, but lacks the scope or role that is required (RFC 6750 section 3.1)."""


class MissingClaimError(IdentityError):
    """The identity lacks a claim that the mapping needs, or holds no usable value in it."""


class ForbiddenOriginError(IdentityError):
    """A browser sent the request from a page that may not mint sessions."""


class IdentityProviderUnavailableError(IdentityError):
    """The credential could not be checked because its issuer does not answer."""

    endpoint_failing: bool = False
    """Whether every credential is affected, not only the caller's."""


class ApideckError(VaultBffError):
    """Apideck did not mint the session."""

    request_id: str | None = None
    """Apideck's `Request-Id` of the failed call, which its support asks for."""

    transient: bool = False
    """Whether asking Apideck again may help."""


class ApideckRejectedFieldsError(ApideckError):
    """Apideck refused fields that the caller supplied; `errors` names them."""


class ApideckRejectedRequestError(ApideckError):
    """Apideck refused the request, and not for anything the caller supplied."""

    fields: frozenset[str] = frozenset()
    """JSON Pointers into the Session of the fields that Apideck's answer names."""


class ApideckMisconfiguredError(ApideckError):
    """The operator's API key, app id or base URL is wrong."""


class ApideckQuotaExhaustedError(ApideckError):
    """The requests that the operator's plan includes are spent."""


class ApideckRateLimitedError(ApideckError):
    """Apideck asks for fewer requests."""


class ApideckUnavailableError(ApideckError):
    """Apideck cannot be reached, or answers with a server error."""


class ApideckTimeoutError(ApideckError):
    """Apideck did not answer within the deadline."""


class ApideckInvalidResponseError(ApideckError):
    """Apideck's answer breaks its own contract."""


class ShuttingDownError(VaultBffError):
    """The process ends, and the time that requests in flight had for it is over."""
