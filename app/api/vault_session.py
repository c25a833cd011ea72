"""`POST /vault-session`: creates a Vault session for the caller."""

from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Request

from ..sessions.models import SessionRequest, VaultSession
from ..state import app_state
from .body import session_request
from .caller import CallerDep, audit_record
from .disconnects import cancel_on_disconnect
from .openapi import json_schema
from .responses import OF_SESSIONS, responses

PATH: Final = "/vault-session"

# FastAPI describes only a body that is declared as a parameter.
_REQUEST_BODY = {
    "description": "Optional, and so is every field. At most 16 KiB; unknown fields are rejected.",
    "required": False,
    "content": {
        "application/json": {
            "schema": json_schema(SessionRequest),
            "examples": {
                "for the person who is signed in": {"value": {}},
                "straight to one connector": {
                    "value": {
                        "return_to": "settings",
                        "connection": {"unified_api": "accounting", "service_id": "quickbooks"},
                    }
                },
                "by a service": {
                    "value": {
                        "consumer_id": "acme",
                        "consumer_metadata": {
                            "account_name": "Acme Inc.",
                            "email": "ada@acme.example",
                        },
                    }
                },
            },
        }
    },
}

router = APIRouter(tags=["Vault sessions"])


@router.post(
    PATH,
    status_code=HTTPStatus.CREATED,
    summary="Create a Vault session",
    operation_id="createVaultSession",
    response_description="The session, and where to send the browser.",
    responses=responses(HTTPStatus.CREATED, OF_SESSIONS),
    openapi_extra={"requestBody": _REQUEST_BODY},
)
async def create_vault_session(
    request: Request,
    caller: CallerDep,
    body: Annotated[SessionRequest, Depends(session_request)],
) -> VaultSession:
    """Create a Vault session for the caller, and return where to send their browser.

    The credential says who is calling and which customer they belong to. A person may set
    `return_to` or `redirect_uri`, `connection` and, within the operator's set,
    `settings.unified_apis`; a service also names its `consumer_id`. A field that the operator's
    policy does not allow is rejected, not dropped. Every error is a problem (RFC 9457), whose
    `type` resolves on this service.
    """
    sessions = app_state(request.scope)["sessions"]
    creating = sessions.create(caller, body, audit_record(request))
    return await cancel_on_disconnect(request, creating)
