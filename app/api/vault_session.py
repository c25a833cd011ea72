"""`POST /vault-session`: creates a Vault session for the caller."""

from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Request

from ..sessions.models import SessionRequest
from ..state import app_state
from .audit import audit_record
from .body import JsonBody
from .caller import CallerDep
from .disconnects import cancel_on_disconnect
from .responses import responses
from .schemas import VaultSession

PATH: Final = "/vault-session"

_EXAMPLES = {
    "for the person who is signed in": {},
    "straight to one connector": {
        "return_to": "settings",
        "connection": {"unified_api": "accounting", "service_id": "quickbooks"},
    },
    "by a service": {
        "consumer_id": "acme",
        "consumer_metadata": {"account_name": "Acme Inc.", "email": "ada@acme.example"},
    },
}
_body = JsonBody(SessionRequest)

router = APIRouter(tags=["Vault sessions"])


@router.post(
    PATH,
    status_code=HTTPStatus.CREATED,
    summary="Create a Vault session",
    operation_id="createVaultSession",
    response_description="The session, and where to send the browser.",
    responses=responses(HTTPStatus.CREATED),
    openapi_extra=_body.described(
        "Optional, and so is every field. At most 16 KiB; unknown fields are rejected.", _EXAMPLES
    ),
)
async def create_vault_session(
    request: Request,
    caller: CallerDep,
    body: Annotated[SessionRequest, Depends(_body)],
) -> VaultSession:
    """Create a Vault session for the caller, and return where to send their browser.

    The credential says who is calling and which customer they belong to. A person may set
    `return_to` or `redirect_uri`, `connection` and, within the operator's set,
    `settings.unified_apis`; a service also names its `consumer_id`. A field that the operator's
    policy does not allow is rejected, not dropped. Every error is a problem (RFC 9457), whose
    `type` resolves on this service.
    """
    sessions = app_state(request.scope)["sessions"]
    minting = sessions.mint(caller, body, audit_record(request))
    link = await cancel_on_disconnect(request, minting)
    return VaultSession.of(link)
