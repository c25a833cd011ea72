"""`POST /vault-session`: the one thing that this service is for."""

from fastapi import APIRouter, Request

from app.api.audited import AuditedRoute
from app.api.dependencies import AuditDep, CallerDep, SessionRequestDep, SessionsDep
from app.api.hang_up import unless_gone
from app.api.schemas import VaultSession

PATH = "/vault-session"

router = APIRouter(route_class=AuditedRoute, tags=["Vault sessions"])


@router.post(
    PATH,
    status_code=201,
    summary="Create a Vault session",
    operation_id="createVaultSession",
    response_description="The session, and where to send the browser.",
)
async def create_vault_session(
    caller: CallerDep,
    asked: SessionRequestDep,
    sessions: SessionsDep,
    audit: AuditDep,
    request: Request,
) -> VaultSession:
    """Mint a Vault session for whoever is calling, and say where to send their browser.

    Who is calling, and which customer they belong to, is in the credential. A person may set
    `return_to` or `redirect_uri`, `connection` and, within the operator's set,
    `settings.unified_apis`; a service names its `consumer_id` as well. What the operator's policy
    does not allow is refused and not dropped. Every refusal is a problem (RFC 9457), whose `type`
    resolves on this service.
    """
    return VaultSession.of(await unless_gone(request, sessions.mint(caller, asked, audit)))
