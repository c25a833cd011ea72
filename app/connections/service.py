"""Reading the connections of a consumer."""

from collections.abc import Awaitable, Mapping
from typing import Any, TypeVar

from ..apideck.client import ApideckClient
from ..apideck.connection_calls import get_connection, list_connections
from ..apideck.connections import VaultConnection
from ..apideck.error_mapping import connection_not_found
from ..apideck.exchange import Result
from ..common.single_flight import SingleFlight
from ..errors import ApideckError, FieldError
from ..identity.models import Caller
from ..observability.audit import AuditRecord
from ..settings import SessionSettings
from ..vault import KNOWN_UNIFIED_APIS
from .filter import is_offered, visible
from .models import ConnectionList

T = TypeVar("T")


class ConnectionService:
    """Reads connections for callers."""

    def __init__(self, settings: SessionSettings, apideck: Mapping[str, ApideckClient]) -> None:
        """Create the service.

        Args:
            settings: the policy for sessions; its default unified APIs are those on offer.
            apideck: a client for each Unify app, by the operator's name for it.
        """
        self._offered = tuple(settings.defaults.settings.get("unified_apis", ()))
        self._apideck = apideck
        self._in_flight: SingleFlight[Result[Any]] = SingleFlight()

    async def list(
        self,
        caller: Caller,
        consumer_id: str,
        audit: AuditRecord,
        *,
        unified_api: str | None,
        configured: bool | None,
    ) -> ConnectionList:
        """Return the connectors that the operator offers, and what the consumer has connected.

        Args:
            caller: the caller.
            consumer_id: the consumer, which the caller may act for.
            audit: gets Apideck's request ID.
            unified_api: the only unified API to list; None lists all that the operator offers.
            configured: whether to list what is connected, or what is not; None lists both.

        Raises:
            ConnectionNotFoundError: the operator does not offer the unified API.
            ApideckError: Apideck returned no list.
            OutOfDescriptorsError: there is no file descriptor for a connection to Apideck.
        """
        if unified_api is not None:
            self._check_offered(unified_api, "/query/unified_api")
        # Apideck may reject a request that names a unified API which does not exist. With an error
        # that looks like a fault of the operator, any caller could raise an alert. So one that is
        # unknown is not sent, and the list is filtered here.
        known = unified_api in KNOWN_UNIFIED_APIS or unified_api in self._offered
        sent = unified_api if known else None
        apideck = self._apideck[caller.unify_app]
        key = (caller.identity, caller.unify_app, consumer_id, "list", sent, configured)
        reading: Result[list[VaultConnection]] = await _noted(
            audit,
            self._in_flight.join(
                key,
                lambda: list_connections(apideck, consumer_id, sent, configured=configured),
            ),
        )
        return ConnectionList(connections=visible(reading.value, unified_api, self._offered))

    async def get(
        self,
        caller: Caller,
        consumer_id: str,
        unified_api: str,
        service_id: str,
        audit: AuditRecord,
    ) -> VaultConnection:
        """Return one connection of a consumer.

        Args:
            caller: the caller.
            consumer_id: the consumer, which the caller may act for.
            unified_api: the connection's unified API.
            service_id: its connector.
            audit: gets the connector and Apideck's request ID.

        Raises:
            ConnectionNotFoundError: Apideck does not know it, or the operator does not offer it.
            ApideckError: Apideck returned no connection for another reason.
            OutOfDescriptorsError: there is no file descriptor for a connection to Apideck.
        """
        audit.connection = f"{unified_api}/{service_id}"
        self._check_offered(unified_api, "/path/unified_api")
        apideck = self._apideck[caller.unify_app]
        key = (caller.identity, caller.unify_app, consumer_id, "get", unified_api, service_id)
        reading: Result[VaultConnection] = await _noted(
            audit,
            self._in_flight.join(
                key, lambda: get_connection(apideck, consumer_id, unified_api, service_id)
            ),
        )
        return reading.value

    def _check_offered(self, unified_api: str, pointer: str) -> None:
        if not is_offered(unified_api, self._offered):
            raise connection_not_found(
                f"unified_apis lacks {unified_api!r}",
                [FieldError(pointer, "This unified API is not available.")],
            )


async def _noted(audit: AuditRecord, reading: Awaitable[Result[T]]) -> Result[T]:
    """Return what was read, and note Apideck's request ID, also that of an error."""
    try:
        result = await reading
    except ApideckError as error:
        audit.apideck_request_id = error.request_id
        raise
    audit.apideck_request_id = result.request_id
    return result
