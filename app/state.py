"""What a request can reach: what the lifespan opened, and what is known of the request itself."""

import asyncio
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any, Final, NotRequired, Protocol, TypedDict

from prometheus_client.registry import Collector

from .apideck.client import ApideckClient
from .connections.service import ConnectionService
from .identity.authenticator import Authenticator
from .identity.source import Source
from .limits.rates import RateLimits
from .observability.audit import AuditRecord
from .observability.metrics import Metrics
from .observability.tracing import Tracing
from .observability.webhook_audit import DeliveryRecord
from .sessions.service import SessionService
from .webhooks.service import WebhookService

CLIENT_CLOSED_REQUEST: Final = 499
"""The status in logs and metrics of a request whose client disconnected before the response; nginx
uses the same number."""

DISCONNECTED: Final = "vault_bff.disconnected"
"""An ASGI extension of our server: its `future` is done once the request's client disconnects."""


@dataclass(slots=True)
class Shutdown:
    """Whether the process has been asked to stop; it still serves for a while, but is not ready."""

    begun: bool = False


class Workers(Protocol):
    """The processes that serve requests, if there are several."""

    async def readiness(self) -> dict[str, dict[str, Any]]:
        """Return what each reports on `/readyz`, by its name."""
        ...

    async def metrics(self) -> Collector:
        """Return the metrics of all of them together."""
        ...


class AppState(TypedDict):
    """What the lifespan opened. The server gives every request a copy of it, in its ASGI scope."""

    authenticator: Authenticator
    limits: RateLimits
    sessions: SessionService
    connections: ConnectionService
    webhooks: WebhookService | None
    sources: tuple[Source, ...]
    apideck: Mapping[str, ApideckClient]
    shutdown: Shutdown
    metrics: Metrics
    tracing: Tracing
    workers: NotRequired[Workers]


@dataclass(slots=True)
class RequestContext:
    """What is known of one request, whichever layer learned it.

    Attributes:
        request_id: identifies the request in logs and responses.
        received_at: when the request was received, by `time.perf_counter`; the time that it was
            queued counts.
        audit: the request's audit record; None on routes that leave no audit event.
        admitted: False once admission has rejected the request; the log then counts it instead of
            giving it events of its own.
        delivery: the record of a delivery of Apideck's; None on routes that receive none.
        rate_limit_headers: response headers that tell the caller how much of each limit is left;
            empty until the caller is known.
    """

    request_id: str
    received_at: float
    audit: AuditRecord | None = None
    admitted: bool = True
    delivery: DeliveryRecord | None = None
    rate_limit_headers: dict[str, str] = field(default_factory=dict)


_CONTEXT = "vault_bff.context"


def app_state(scope: Mapping[str, Any]) -> AppState:
    """Return what the lifespan opened.

    Args:
        scope: the ASGI scope of a request.
    """
    state: AppState = scope["state"]
    return state


def request_context(scope: Mapping[str, Any]) -> RequestContext:
    """Return the context of a request.

    Args:
        scope: the ASGI scope of a request that has passed `RequestContextMiddleware`.
    """
    context: RequestContext = scope[_CONTEXT]
    return context


def disconnect_of(scope: Mapping[str, Any]) -> "asyncio.Future[None] | None":
    """Return a future that is done once the client has disconnected; None under other servers.

    It is that of the connection: wait for it, and do not cancel it.

    Args:
        scope: the ASGI scope of a request.
    """
    future: asyncio.Future[None] | None
    future = scope.get("extensions", {}).get(DISCONNECTED, {}).get("future")
    return future


def set_request_context(scope: MutableMapping[str, Any], context: RequestContext) -> None:
    """Attach a context to a request.

    Args:
        scope: the ASGI scope of the request.
        context: what is known of it so far.
    """
    scope[_CONTEXT] = context
