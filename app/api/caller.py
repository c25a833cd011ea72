"""The dependency that says who is calling."""

import math
from collections.abc import Sequence
from typing import Annotated

from fastapi import Depends, Request

from ..identity.models import Caller
from ..limits.models import QuotaStatus, RateLimitDecision
from ..limits.rates import refusal
from ..observability.audit import AuditRecord, Resource
from ..state import RequestContext, app_state, request_context


class AuthenticatedCaller:
    """A dependency whose value is who is calling, counted against the limits of one resource.

    It starts the audit record first, so requests that it rejects leave an audit event, too.
    `AccessLogMiddleware` writes it when the request ends. Each further dependency would cost about
    2 % of a request.
    """

    def __init__(self, resource: Resource) -> None:
        self._resource: Resource = resource

    async def __call__(self, request: Request) -> Caller:
        """Return who is calling, after counting the request against their rate limits.

        Raises:
            IdentityError: the caller could not be authenticated.
            LimitError: the caller has reached a rate limit.
        """
        state, context = app_state(request.scope), request_context(request.scope)
        audit = context.audit = AuditRecord(self._resource, started=context.received_at)
        with state["tracing"].span("verify credential"):
            caller = await state["authenticator"].authenticate(
                request.scope["headers"], reads_only=request.scope["method"] == "GET"
            )
        audit.caller_kind, audit.issuer = caller.kind, caller.issuer
        audit.subject, audit.actor = caller.subject, caller.actor
        audit.consumer_id = caller.consumer_id
        enforce(await state["limits"].admit(caller, self._resource), context)
        return caller


CallerDep = Annotated[Caller, Depends(AuthenticatedCaller("sessions"))]
"""The caller of a request for a session."""

ConnectionsCallerDep = Annotated[Caller, Depends(AuthenticatedCaller("connections"))]
"""The caller of a request for connections."""


def audit_record(request: Request) -> AuditRecord:
    """Return the audit record of a request whose caller is known."""
    record = request_context(request.scope).audit
    assert record is not None  # noqa: S101 - the dependency for the caller has started it
    return record


def enforce(decision: RateLimitDecision, context: RequestContext) -> None:
    """Add the state of some limits to the response, and reject the request if they say so.

    Raises:
        RateLimitedError: the request was not admitted.
    """
    for name, value in rate_limit_headers(decision.statuses).items():
        before = context.rate_limit_headers.get(name)
        context.rate_limit_headers[name] = f"{before}, {value}" if before else value
    if not decision.admitted:
        raise refusal(decision)


def rate_limit_headers(statuses: Sequence[QuotaStatus]) -> dict[str, str]:
    """Return the headers that tell a caller how much of each limit is left; none without a limit.

    `RateLimit-Policy` names each limit with its quota `q` in `w` seconds; `RateLimit` says how many
    requests remain of it (`r`), and in how many seconds (`t`) the whole quota is available again.

    Source: https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/ (draft 10).
    """
    if not statuses:
        return {}
    return {
        "RateLimit-Policy": ", ".join(
            f'"{one.limit.policy}";q={one.limit.rate.quota};w={one.limit.rate.window_seconds}'
            for one in statuses
        ),
        "RateLimit": ", ".join(
            f'"{one.limit.policy}";r={one.remaining};t={math.ceil(one.until_full)}'
            for one in statuses
        ),
    }
