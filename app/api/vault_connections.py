"""`GET /vault-connections`: connectors, and which of them the caller's customer has connected."""

from collections import Counter
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, ConfigDict

from ..apideck.connections import VaultConnection
from ..connections.models import ConnectionList
from ..errors import ConsumerNotGrantedError, FieldError, InvalidRequestError
from ..identity.consumers import consumer_of
from ..identity.models import Caller
from ..state import app_state, request_context
from ..vault import Slug
from .body import MAX_BODY_BYTES, read_body
from .caller import ConnectionsCallerDep, audit_record, enforce
from .disconnects import cancel_on_disconnect
from .responses import OF_CONNECTIONS, responses

PATH: Final = "/vault-connections"

router = APIRouter(tags=["Connections"])


class ConsumerParameter(BaseModel):
    """The query of a request for one connection."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    consumer_id: str | None = None
    """For whom; required for a service, and not allowed for a user."""


class ListParameters(ConsumerParameter):
    """The query of a request for a list."""

    unified_api: Slug | None = None
    """The only unified API to list, such as `accounting`; absent lists all that are on offer."""
    configured: bool | None = None
    """Whether to list what is connected, or what is not; absent lists both."""


@router.get(
    PATH,
    summary="List connections",
    operation_id="listVaultConnections",
    response_description="The connectors on offer, each with the state of its connection.",
    responses=responses(HTTPStatus.OK, OF_CONNECTIONS),
)
async def list_vault_connections(
    request: Request,
    caller: ConnectionsCallerDep,
    query: Annotated[ListParameters, Query()],
) -> ConnectionList:
    """List the connectors that the operator offers, and what the customer has connected.

    The customer is the one that the credential belongs to; a service names its `consumer_id`. The
    list has every connector, connected or not, unless `configured` or `unified_api` restrict it.
    A connection is usable only in the state `callable`. Each request counts against the operator's
    plan at Apideck: ask when a page opens or a person returns to it, and do not poll.
    """
    consumer_id = await _admitted_consumer(request, caller, query.consumer_id)
    reading = app_state(request.scope)["connections"].list(
        caller,
        consumer_id,
        audit_record(request),
        unified_api=query.unified_api,
        configured=query.configured,
    )
    return await cancel_on_disconnect(request, reading)


@router.get(
    f"{PATH}/{{unified_api}}/{{service_id}}",
    summary="Get a connection",
    operation_id="getVaultConnection",
    response_description="The connector, and the state of its connection.",
    responses=responses(HTTPStatus.OK, OF_CONNECTIONS),
)
async def get_vault_connection(
    request: Request,
    caller: ConnectionsCallerDep,
    *,
    unified_api: Annotated[Slug, Path(description="Such as `accounting`.")],
    service_id: Annotated[Slug, Path(description="Such as `quickbooks`.")],
    query: Annotated[ConsumerParameter, Query()],
) -> VaultConnection:
    """Return one connector, and the state of the customer's connection.

    This is how a page learns whether a person who returns from the Vault has connected something:
    anyone can type a query parameter that says so.
    """
    consumer_id = await _admitted_consumer(request, caller, query.consumer_id)
    connections = app_state(request.scope)["connections"]
    audit = audit_record(request)
    reading = connections.get(caller, consumer_id, unified_api, service_id, audit)
    return await cancel_on_disconnect(request, reading)


async def _admitted_consumer(request: Request, caller: Caller, requested: str | None) -> str:
    """Return the consumer of a request, after counting the request against its rate limit.

    This also reads the body, because the server reports a disconnect only once it has been read.

    Args:
        request: the request.
        caller: its caller.
        requested: the consumer that its query names, if any.

    Raises:
        HTTPException: 413 for a body that is too large.
        FieldNotPermittedError: a user names a consumer.
        InvalidRequestError: a service names none, or a parameter occurs twice.
        ConsumerNotGrantedError: a service names a consumer outside its grant.
        LimitError: there were too many requests for this consumer.
    """
    state, context = app_state(request.scope), request_context(request.scope)
    audit = audit_record(request)
    _check_repeated(request)
    try:
        consumer_id = consumer_of(caller, requested, "/query/consumer_id")
    except ConsumerNotGrantedError:
        audit.note_rejected_consumer(requested)
        raise
    audit.consumer_id = consumer_id
    enforce(await state["limits"].admit_consumer(caller.unify_app, consumer_id), context)
    await read_body(request, MAX_BODY_BYTES)
    return consumer_id


def _check_repeated(request: Request) -> None:
    """Reject a parameter that occurs twice: a proxy may have checked the other one."""
    counts = Counter(name for name, _ in request.query_params.multi_items())
    if repeated := sorted(name for name, count in counts.items() if count > 1):
        faults = [FieldError(f"/query/{name}", "This occurs more than once.") for name in repeated]
        raise InvalidRequestError("The request is not valid.", errors=faults)
