"""`GET /vault-connections`: connectors, and which of them the caller's customer has connected."""

from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, ConfigDict

from ..apideck.connections import VaultConnection
from ..connections.models import ConnectionList, ConnectionQuery
from ..state import app_state
from ..vault import Slug
from .audit import audit_record
from .body import MAX_BODY_BYTES, read_body
from .caller import ConnectionsCallerDep
from .consumer import admitted_consumer
from .disconnects import cancel_on_disconnect
from .responses import responses
from .route_problems import OF_CONNECTIONS

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
    consumer_id = await admitted_consumer(request, caller, query.consumer_id)
    await read_body(request, MAX_BODY_BYTES)
    wanted = ConnectionQuery(query.unified_api, query.configured)
    connections = app_state(request.scope)["connections"]
    reading = connections.list(caller, consumer_id, wanted, audit_record(request))
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
    consumer_id = await admitted_consumer(request, caller, query.consumer_id)
    await read_body(request, MAX_BODY_BYTES)
    connections = app_state(request.scope)["connections"]
    audit = audit_record(request)
    reading = connections.get(caller, consumer_id, unified_api, service_id, audit)
    return await cancel_on_disconnect(request, reading)
