"""`POST /vault-session`: the one thing that this service is for."""

from fastapi import APIRouter, Request, Response

from app.api.audited import AuditedRoute
from app.api.body import read_session_request
from app.api.dependencies import admitted_caller, app_state
from app.api.hang_up import unless_gone
from app.api.schemas import VaultSession

PATH = "/vault-session"
_CREATED = 201

router = APIRouter(route_class=AuditedRoute, tags=["Vault sessions"])


@router.post(
    PATH,
    status_code=_CREATED,
    response_model=VaultSession,
    summary="Create a Vault session",
    operation_id="createVaultSession",
    response_description="The session, and where to send the browser.",
)
async def create_vault_session(request: Request) -> Response:
    """Mint a Vault session for whoever is calling, and say where to send their browser.

    Who is calling, and which customer they belong to, is in the credential. A person may set
    `return_to` or `redirect_uri`, `connection` and, within the operator's set,
    `settings.unified_apis`; a service names its `consumer_id` as well. What the operator's policy
    does not allow is refused and not dropped. Every refusal is a problem (RFC 9457), whose `type`
    resolves on this service.
    """
    # Called and not declared: resolving dependencies takes FastAPI a good part of a request's CPU.
    state, audit = await app_state(request), request.state.audit
    caller = await admitted_caller(request, state, audit)
    # After the caller, so that strangers get no byte of a body read, let alone parsed.
    asked = await read_session_request(request)
    link = await unless_gone(request, state["sessions"].mint(caller, asked, audit))
    answer = VaultSession.of(link).model_dump_json()
    return Response(answer, _CREATED, media_type="application/json")
