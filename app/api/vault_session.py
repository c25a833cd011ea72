"""`POST /vault-session`: the one thing that this service is for."""

from typing import Any

from fastapi import APIRouter, Request
from pydantic import TypeAdapter

from app.api.audited import AuditedRoute
from app.api.dependencies import AuditDep, CallerDep, SessionRequestDep, SessionsDep
from app.api.hang_up import unless_gone
from app.api.problem_types import ALL
from app.api.schemas import Problem, VaultSession
from app.sessions.models import SessionRequest

PATH = "/vault-session"

router = APIRouter(route_class=AuditedRoute, tags=["Vault sessions"])

_BODY: dict[str, Any] = {
    "required": False,
    "content": {"application/json": {"schema": TypeAdapter(SessionRequest).json_schema()}},
}
_PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {
        "model": Problem,
        "description": "; ".join(problem.title for problem in ALL if problem.status == status),
    }
    for status in sorted({problem.status for problem in ALL} - {404, 405})
}


@router.post(
    PATH,
    status_code=201,
    responses=_PROBLEMS,
    openapi_extra={"requestBody": _BODY},
)
async def create_vault_session(
    caller: CallerDep,
    asked: SessionRequestDep,
    sessions: SessionsDep,
    audit: AuditDep,
    request: Request,
) -> VaultSession:
    """Mint a Vault session for whoever is calling, and say where to send their browser."""
    return VaultSession.of(await unless_gone(request, sessions.mint(caller, asked, audit)))
