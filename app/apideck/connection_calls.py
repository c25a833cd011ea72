"""Reading a consumer's connections.

Source: https://developers.apideck.com/apis/vault/reference (operations "Get all connections" and
"Get connection").
"""

from typing import Final
from urllib.parse import urlencode

from ..errors import ConnectionNotFoundError
from .client import ApideckClient
from .connections import (
    CONNECTIONS_PATH,
    VaultConnection,
    connection_path,
    list_query,
    read_list,
    read_one,
)
from .exchange import Call, Operation, Result

# A 404 that Apideck does not name is a wrong base URL: an empty list would hide that.
LIST_CONNECTIONS: Final = Operation(
    "list_connections", "GET", CONNECTIONS_PATH, success="Read", is_large=True, not_found="named"
)
GET_CONNECTION: Final = Operation(
    "get_connection",
    "GET",
    f"{CONNECTIONS_PATH}/{{unified_api}}/{{service_id}}",
    success="Read",
    is_large=True,
    not_found="all",
)


async def list_connections(
    apideck: ApideckClient, consumer_id: str, unified_api: str | None, *, configured: bool | None
) -> Result[list[VaultConnection]]:
    """Return the connections of a consumer; none for one that Apideck does not know.

    Args:
        apideck: the client of a Unify app.
        consumer_id: printable ASCII without spaces; it becomes a header.
        unified_api: the only unified API to list; None lists all.
        configured: whether to list what is connected, or what is not; None lists both.

    Raises:
        ApideckError: there is no list; each outcome has its own class.
        OutOfDescriptorsError: this process has no file descriptor for a connection.
        ValueError: the unified API is not of Apideck's grammar.
    """
    query = urlencode(list_query(unified_api, configured=configured))
    call = Call(consumer_id, target=f"{CONNECTIONS_PATH}?{query}" if query else CONNECTIONS_PATH)
    try:
        return await apideck.call(LIST_CONNECTIONS, call, read_list)
    except ConnectionNotFoundError as error:
        return Result([], error.request_id)


async def get_connection(
    apideck: ApideckClient, consumer_id: str, unified_api: str, service_id: str
) -> Result[VaultConnection]:
    """Return one connection of a consumer.

    Args:
        apideck: the client of a Unify app.
        consumer_id: printable ASCII without spaces; it becomes a header.
        unified_api: its unified API.
        service_id: its connector.

    Raises:
        ConnectionNotFoundError: Apideck does not know the connection.
        ApideckError: there is no connection for another reason.
        OutOfDescriptorsError: this process has no file descriptor for a connection.
        ValueError: a segment is not of Apideck's grammar.
    """
    call = Call(consumer_id, target=connection_path(unified_api, service_id))
    return await apideck.call(
        GET_CONNECTION, call, lambda body: read_one(body, unified_api, service_id)
    )
