"""What handlers ask for, and where it comes from.

All of it is `async`, even what awaits nothing: FastAPI runs plain functions in threads, which costs
more than they do.
"""

from typing import Annotated, cast

from fastapi import Depends, Request

from app.api.body import read_session_request
from app.api.rate_limit_headers import rate_limit_headers
from app.identity.models import Caller
from app.limits.rates import refusal
from app.observability.audit import AuditRecord
from app.sessions.models import SessionRequest
from app.sessions.service import SessionService
from app.state import AppState


async def app_state(request: Request) -> AppState:
    """Return what the lifespan opened."""
    return cast("AppState", request.scope["state"])


async def _audit(request: Request) -> AuditRecord:
    return cast("AuditRecord", request.state.audit)


async def _sessions(state: Annotated[AppState, Depends(app_state)]) -> SessionService:
    return state["sessions"]


async def _caller(
    request: Request,
    state: Annotated[AppState, Depends(app_state)],
    audit: Annotated[AuditRecord, Depends(_audit)],
) -> Caller:
    with state["tracing"].span("verify credential"):
        caller = await state["authenticator"].authenticate(request.scope["headers"])
    audit.caller_kind, audit.issuer = caller.kind, caller.issuer
    audit.subject, audit.actor = caller.subject, caller.actor
    audit.consumer_id = caller.consumer_id
    return caller


async def _admitted(
    request: Request,
    state: Annotated[AppState, Depends(app_state)],
    caller: Annotated[Caller, Depends(_caller)],
) -> Caller:
    verdict = await state["limits"].admit(caller)
    request.state.rate_limit = rate_limit_headers(verdict.standings)
    if not verdict.admitted:
        raise refusal(verdict)
    return caller


async def _session_request(
    request: Request, _: Annotated[Caller, Depends(_admitted)]
) -> SessionRequest:
    # After the caller, so that strangers get no byte of a body read, let alone parsed.
    return await read_session_request(request)


StateDep = Annotated[AppState, Depends(app_state)]
AuditDep = Annotated[AuditRecord, Depends(_audit)]
CallerDep = Annotated[Caller, Depends(_admitted)]
SessionRequestDep = Annotated[SessionRequest, Depends(_session_request)]
SessionsDep = Annotated[SessionService, Depends(_sessions)]
