"""`POST /webhooks/apideck`: receives Apideck's events and forwards them to the operator's target.

Anyone can send a request here, so the checks go from cheap to expensive: the Unify app, that there
is a signature at all, and only then the body and the signature itself.
"""

from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, HTTPException, Path, Request, Security
from fastapi.security import APIKeyHeader

from ..observability.webhook_audit import DeliveryRecord
from ..settings.apideck import UnifyApp
from ..state import app_state, request_context
from ..webhooks.errors import InvalidSignatureError
from ..webhooks.service import WebhookService
from ..webhooks.signature import MAX_BODY_BYTES as MAX_EVENT_BYTES
from ..webhooks.signature import is_signature
from .body import MAX_BODY_BYTES, read_body
from .disconnects import cancel_on_disconnect
from .responses import OF_WEBHOOKS, responses

PATH: Final = "/webhooks/apideck"
SIGNATURE: Final = "x-apideck-signature"

_MAX_SHOWN = 64
_DESCRIBED: dict[str, Any] = {
    "status_code": HTTPStatus.NO_CONTENT,
    "response_description": "The target has acknowledged the event, or it is one to ignore.",
    "responses": responses(HTTPStatus.NO_CONTENT, OF_WEBHOOKS, rate_limited=False),
    "openapi_extra": {
        "requestBody": {
            "description": "An event, as Apideck describes it. At most 256 KiB.",
            "required": True,
            "content": {
                "application/json": {
                    "schema": {
                        "type": "object",
                        "properties": {"payload": {"type": "object"}},
                    }
                }
            },
        }
    },
}


def max_body_bytes(path: str) -> int:
    """Return how long the body of a request may be.

    Args:
        path: the request's path, as in its ASGI scope.
    """
    is_event = path == PATH or path.startswith(f"{PATH}/")
    return MAX_EVENT_BYTES if is_event else MAX_BODY_BYTES


async def _delivery(request: Request) -> DeliveryRecord:
    """Start the record of a delivery to the Unify app `default`."""
    return _record(request, UnifyApp.DEFAULT)


async def _delivery_to(
    request: Request,
    name: Annotated[str, Path(description="The operator's name of the Unify app.")],
) -> DeliveryRecord:
    """Start the record of a delivery to a Unify app that the path names."""
    return _record(request, name)


def _record(request: Request, name: str) -> DeliveryRecord:
    """Start the record of a delivery; `AccessLogMiddleware` writes it when the request ends.

    Raises:
        HTTPException: 404 if the events of no such Unify app are forwarded.
    """
    context = request_context(request.scope)
    context.delivery = DeliveryRecord(started=context.received_at)
    known = _service(request).sources
    if name not in known:
        context.delivery.reason = (
            f"the Unify app has no webhook: received {name[:_MAX_SHOWN]!r}, "
            f"expected {', '.join(known)}"
        )
        raise HTTPException(HTTPStatus.NOT_FOUND)
    context.delivery.unify_app = name
    return context.delivery


async def _signature(
    value: Annotated[
        str | None,
        Security(
            APIKeyHeader(
                name=SIGNATURE,
                scheme_name="apideckSignature",
                description="HMAC-SHA256 of the event with the API key, in hex or base64.",
                auto_error=False,
            )
        ),
    ],
) -> str:
    """Return the signature, before the body is read.

    Raises:
        InvalidSignatureError: there is none, or none can have this form.
    """
    if not value:
        raise InvalidSignatureError(
            "The request has no signature.", reason=f"the header {SIGNATURE} is missing"
        )
    if not is_signature(value):
        raise InvalidSignatureError(
            "The signature is not valid.",
            reason=f"the header {SIGNATURE} is neither 64 hex digits nor 32 bytes in base64",
        )
    return value


router = APIRouter(tags=["Events"])


@router.post(PATH, summary="Receive an event", operation_id="receiveEvent", **_DESCRIBED)
async def receive_event(
    request: Request,
    delivery: Annotated[DeliveryRecord, Depends(_delivery)],
    signature: Annotated[str, Depends(_signature)],
) -> None:
    """Verify an event of Apideck, and forward it to the operator's target.

    Apideck calls this endpoint. The response is a success once the target has responded with one,
    so Apideck delivers everything else again. Events of types that the operator has not chosen are
    acknowledged and not forwarded.
    """
    await _forward(request, delivery, signature)


@router.post(
    PATH + "/{name}",
    summary="Receive an event of a further Unify app",
    operation_id="receiveEventOfUnifyApp",
    **_DESCRIBED,
)
async def receive_event_of_unify_app(
    request: Request,
    delivery: Annotated[DeliveryRecord, Depends(_delivery_to)],
    signature: Annotated[str, Depends(_signature)],
) -> None:
    """Do the same for the events of one of the operator's further Unify apps."""
    await _forward(request, delivery, signature)


async def _forward(request: Request, delivery: DeliveryRecord, signature: str) -> None:
    service = _service(request)
    async with service.receiving.slot():
        body = await read_body(request, MAX_EVENT_BYTES)
    signed = await service.verify(delivery, signature, body)
    await cancel_on_disconnect(request, service.forward(delivery, signed))


def _service(request: Request) -> WebhookService:
    service = app_state(request.scope)["webhooks"]
    assert service is not None  # noqa: S101 - the routes are there only if it is
    return service
