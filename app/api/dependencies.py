"""What handlers need of a request, and where it comes from."""

from typing import Annotated, cast

from fastapi import Depends, Request

from app.api.rate_limit_headers import rate_limit_headers
from app.identity.models import Caller
from app.limits.rates import refusal
from app.observability.audit import AuditRecord
from app.state import AppState, request_context


async def app_state(request: Request) -> AppState:
    """Return what the lifespan opened."""
    # Async though it awaits nothing: FastAPI runs plain functions in threads, which costs more.
    return cast("AppState", request.scope["state"])


StateDep = Annotated[AppState, Depends(app_state)]


async def admitted_caller(request: Request, state: AppState, audit: AuditRecord) -> Caller:
    """Return who is calling, once they are within their limits.

    Raises:
        IdentityError: who is calling could not be established.
        LimitError: they ask too often.
    """
    with state["tracing"].span("verify credential"):
        caller = await state["authenticator"].authenticate(request.scope["headers"])
    audit.caller_kind, audit.issuer = caller.kind, caller.issuer
    audit.subject, audit.actor = caller.subject, caller.actor
    audit.consumer_id = caller.consumer_id
    decision = await state["limits"].admit(caller)
    request_context(request.scope).rate_limit_headers = rate_limit_headers(decision.statuses)
    if not decision.admitted:
        raise refusal(decision)
    return caller
