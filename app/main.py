"""The application, put together: routers, middleware in order, exception handlers."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from fastapi.telemetry import TelemetryConfig
from starlette.middleware import Middleware

from . import __version__
from .api import (
    docs_page,
    health,
    metrics_page,
    openapi,
    problem_pages,
    start_page,
    vault_connections,
    vault_session,
    webhooks,
)
from .api.problem_types import ALL
from .api.problems import Problems
from .lifespan import lifespan_of
from .limits.admission import AdmissionQueue
from .middleware.access_log import AccessLogMiddleware
from .middleware.admission import AdmissionMiddleware, LimitedRoutes, RejectionMiddleware
from .middleware.allowed_hosts import AllowedHostsMiddleware
from .middleware.cors import ProblemCORSMiddleware
from .middleware.request_context import RequestContextMiddleware
from .middleware.security_headers import SecurityHeadersMiddleware
from .middleware.tracing import TracingMiddleware
from .middleware.unhandled_errors import UnhandledErrorMiddleware
from .observability.logging import configure_logging
from .observability.metrics import Metrics
from .observability.redaction import Redactor
from .observability.telemetry import Telemetry
from .observability.tracing import Tracing
from .settings import LimitSettings, Settings
from .settings.sources import load_settings
from .state import Shutdown

_API = (vault_session.router, vault_connections.router)
_OPERATION = (health.router, metrics_page.router)
# FastAPI's own tracing starts by itself as soon as any library sets a global provider.
_NO_TELEMETRY: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False}


def create_telemetry(settings: Settings, redactor: Redactor | None = None) -> Telemetry:
    """Build what the service reports about itself.

    Args:
        settings: everything that an operator can set.
        redactor: removes secrets from the log; the lifespan adds those that the settings name.
    """
    tracing = Tracing(settings.tracing, settings.egress.egress_proxy())
    return Telemetry(redactor or Redactor(), Metrics(), tracing)


def create_app(
    settings: Settings,
    telemetry: Telemetry | None = None,
    shutdown: Shutdown | None = None,
    *,
    internal: bool = True,
) -> FastAPI:
    """Build the application. It opens and reads nothing until its lifespan starts.

    Args:
        settings: everything that an operator can set.
        telemetry: what the service reports about itself.
        shutdown: reports when the process has been asked to stop.
        internal: whether probes and metrics are here, and not on a port of their own.
    """
    problems = Problems(settings.server.public_url)
    telemetry = telemetry or create_telemetry(settings)
    app = FastAPI(
        title="Vault BFF",
        version=__version__,
        summary="Creates Apideck Hosted Vault sessions and lists connections for signed-in users.",
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        servers=[{"url": settings.server.public_url}] if settings.server.public_url else None,
        lifespan=lifespan_of(settings, telemetry, shutdown or Shutdown()),
        middleware=_middleware(settings, problems, telemetry, public=True),
        exception_handlers=problems.handlers(),
        docs_url=None,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
        # A redirect would be built from the Host header, which the client chooses.
        redirect_slashes=False,
        telemetry=_NO_TELEMETRY,
    )
    received = (webhooks.router,) if settings.webhooks.enabled else ()
    server = settings.server
    pages = (start_page.router_for(server), problem_pages.router_for(server.public_url))
    for router in (*_API, *received, *pages, *(_OPERATION if internal else ())):
        app.include_router(router)
    if server.docs:
        docs_page.add_to(app)
    _start_at_zero(telemetry.metrics, (*_API, *received))
    openapi.extend(app, settings.identity)
    return app


def create_internal_app(settings: Settings, telemetry: Telemetry, shutdown: Shutdown) -> FastAPI:
    """Build the application of the internal port: probes and metrics.

    Its own lifespan yields what these need before the service has started; the server then adds the
    state of the service.

    Args:
        settings: everything that an operator can set.
        telemetry: what the service reports about itself.
        shutdown: reports when the process has been asked to stop.
    """
    problems = Problems(settings.server.public_url)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, Any]]:
        yield {"metrics": telemetry.metrics, "shutdown": shutdown}

    app = FastAPI(
        lifespan=lifespan,
        middleware=_middleware(settings, problems, telemetry, public=False),
        exception_handlers=problems.handlers(),
        openapi_url=None,
        redirect_slashes=False,
        telemetry=_NO_TELEMETRY,
    )
    for router in _OPERATION:
        app.include_router(router)
    return app


def application() -> FastAPI:
    """Build the application from the environment, for a server that wants a factory.

    Raises:
        ConfigurationError: with one line for each fault in the settings.
    """
    settings = load_settings()
    return create_app(settings, create_telemetry(settings, configure_logging(settings.log)))


def _middleware(
    settings: Settings, problems: Problems, telemetry: Telemetry, *, public: bool
) -> list[Middleware]:
    """Return the middleware, outermost first: each sees the responses of all that follow it."""
    metrics, tracing, respond = telemetry.metrics, telemetry.tracing, problems.respond
    # First, because all others log, or respond with the request's id.
    stack = [Middleware(RequestContextMiddleware)]
    if tracing.enabled:
        # Before the access log, so that its events have the trace's id.
        stack.append(Middleware(TracingMiddleware, tracing=tracing))
    if public:
        # Before all that costs time and memory, which a request that waits should not.
        limited = _limited_routes(settings.limits, metrics)
        stack.append(Middleware(AdmissionMiddleware, limited=limited))
    # Before everything that can respond, so that every response is recorded, and has the security
    # headers.
    stack.append(Middleware(AccessLogMiddleware, metrics=metrics))
    stack.append(Middleware(SecurityHeadersMiddleware))
    if public and (hosts := settings.server.allowed_hosts):
        stack.append(Middleware(AllowedHostsMiddleware, hosts=hosts, respond=respond))
    if public and settings.cors.allow_origins:
        # Before whatever rejects requests, so that pages can read why.
        cors = settings.cors
        stack.append(
            Middleware(
                ProblemCORSMiddleware, cors=cors, identity=settings.identity, respond=respond
            )
        )
    # After all of the above, so that its responses pass through them.
    stack.append(Middleware(UnhandledErrorMiddleware, metrics=metrics, respond=respond))
    if public:
        # Last: what it rejects is responded to like everything else.
        stack.append(Middleware(RejectionMiddleware, respond=respond))
    return stack


def _limited_routes(settings: LimitSettings, metrics: Metrics) -> list[LimitedRoutes]:
    """Return the routes with their queues: slow lists take no slot from sessions."""
    sessions = AdmissionQueue(settings, metrics, "sessions")
    connections = AdmissionQueue(settings.connections, metrics, "connections")
    return [
        LimitedRoutes(sessions, vault_session.router.routes),
        LimitedRoutes(connections, vault_connections.router.routes),
    ]


def _start_at_zero(metrics: Metrics, routers: Iterable[APIRouter]) -> None:
    failures = [one.status for one in ALL if one.status >= HTTPStatus.INTERNAL_SERVER_ERROR]
    for route in (route for router in routers for route in router.routes):
        assert isinstance(route, APIRoute)  # noqa: S101 - these routers have no others
        statuses = [route.status_code or HTTPStatus.OK, *failures]
        for method in route.methods or ():
            metrics.start_at_zero(method, route.path, statuses)
