"""The application, put together: routers, middleware in order, answers to errors."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig
from starlette.middleware import Middleware

from app import __version__
from app.api import health, metrics_page, openapi, problem_pages, vault_session
from app.api.audited import audit_unadmitted
from app.api.body import MAX_BODY_BYTES
from app.api.problems import Problems
from app.lifespan import lifespan_of
from app.limits.admission import AdmissionQueue
from app.middleware.access_log import AccessLogMiddleware
from app.middleware.admission import AdmissionMiddleware, AdmissionPolicy
from app.middleware.allowed_hosts import AllowedHostsMiddleware
from app.middleware.cors import ExactOriginsMiddleware
from app.middleware.http_metrics import HttpMetricsMiddleware
from app.middleware.request_context import RequestContextMiddleware
from app.middleware.security_headers import SecurityHeadersMiddleware
from app.middleware.tracing import TracingMiddleware
from app.middleware.unhandled_errors import UnhandledErrorMiddleware
from app.observability.logging import configure_logging
from app.observability.metrics import Metrics
from app.observability.redaction import Redactor
from app.observability.telemetry import Telemetry
from app.observability.tracing import Tracing
from app.settings import Settings
from app.settings.sources import load_settings
from app.state import Shutdown

_PUBLIC = (vault_session, problem_pages)
_INTERNAL = (health, metrics_page)


# FastAPI's own tracing starts by itself as soon as any library sets a global provider.
_NO_TELEMETRY: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False}


def create_telemetry(settings: Settings, redactor: Redactor | None = None) -> Telemetry:
    """Build what the service reports about itself.

    Args:
        settings: everything that an operator can set.
        redactor: removes secrets from the log; it learns those that the settings name.
    """
    return Telemetry(redactor or Redactor(), Metrics(), Tracing(settings.tracing))


def create_app(
    settings: Settings,
    telemetry: Telemetry | None = None,
    shutdown: Shutdown | None = None,
    *,
    internal_routes: bool = True,
) -> FastAPI:
    """Build the application. Nothing is opened, and nothing read, until its lifespan starts.

    Args:
        settings: everything that an operator can set.
        telemetry: what the service reports about itself.
        shutdown: whether the process has been asked to stop.
        internal_routes: whether probes and metrics are here, and not in an application of their
            own (`create_internal_app`).
    """
    problems = Problems(settings.server.public_url)
    telemetry = telemetry or create_telemetry(settings)
    modules = (*_PUBLIC, *_INTERNAL) if internal_routes else _PUBLIC
    app = FastAPI(
        title="Vault BFF",
        version=__version__,
        summary="Mints Apideck Hosted Vault sessions for whoever is signed in.",
        lifespan=lifespan_of(settings, telemetry, shutdown or Shutdown()),
        middleware=_middleware(settings, problems, telemetry),
        # As they are: FastAPI calls a route of an included router by way of a copy, which is not an
        # AuditedRoute's own, and in four more steps.
        routes=[route for module in modules for route in module.router.routes],
        docs_url="/docs" if settings.server.docs else None,
        redoc_url=None,
        telemetry=_NO_TELEMETRY,
    )
    problems.install(app)
    openapi.install(app, settings.identity, problems)
    return app


def create_internal_app(settings: Settings, telemetry: Telemetry, shutdown: Shutdown) -> FastAPI:
    """Build the application of the internal port: probes and metrics of the service.

    Until the service itself has started, its state holds no more than what this application's own
    lifespan yields: the server then adds the state of the service.

    Args:
        settings: everything that an operator can set.
        telemetry: what the service reports about itself.
        shutdown: whether the process has been asked to stop.
    """
    problems = Problems(settings.server.public_url)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, Any]]:
        yield {"metrics": telemetry.metrics, "shutdown": shutdown}

    app = FastAPI(
        lifespan=lifespan,
        middleware=[*_outer(telemetry), _unhandled_errors(problems, telemetry)],
        routes=[route for module in _INTERNAL for route in module.router.routes],
        openapi_url=None,
        telemetry=_NO_TELEMETRY,
    )
    problems.install(app)
    return app


def application() -> FastAPI:
    """Build the application from the environment, for a server that wants a factory.

    Raises:
        ConfigurationError: with one line for each thing that is wrong with the settings.
    """
    settings = load_settings()
    return create_app(settings, create_telemetry(settings, configure_logging(settings.log)))


def _middleware(settings: Settings, problems: Problems, telemetry: Telemetry) -> list[Middleware]:
    """Return the middleware, the outermost first: each sees the responses of all that follow."""
    stack = _outer(telemetry)
    if settings.server.allowed_hosts:
        stack.append(
            Middleware(
                AllowedHostsMiddleware,
                hosts=settings.server.allowed_hosts,
                refuse=problems.unknown_host,
            )
        )
    if settings.cors.allow_origins:
        stack.append(
            Middleware(
                ExactOriginsMiddleware,
                origins=settings.cors.allow_origins,
                credential_headers=("authorization", settings.identity.csrf_header),
                cookies=settings.identity.uses_cookies,
                refuse=problems.forbidden_preflight,
            )
        )
    admission = Middleware(
        AdmissionMiddleware,
        queue=AdmissionQueue(settings.limits, telemetry.metrics),
        policy=AdmissionPolicy(
            routes=vault_session.router.routes,
            max_body_bytes=MAX_BODY_BYTES,
            problem=problems.of,
            audit=audit_unadmitted,
        ),
    )
    return [*stack, _unhandled_errors(problems, telemetry), admission]


def _outer(telemetry: Telemetry) -> list[Middleware]:
    tracing = telemetry.tracing
    return [
        Middleware(RequestContextMiddleware),
        *([Middleware(TracingMiddleware, tracing=tracing)] if tracing.enabled else []),
        Middleware(AccessLogMiddleware),
        Middleware(HttpMetricsMiddleware, metrics=telemetry.metrics),
        Middleware(SecurityHeadersMiddleware),
    ]


def _unhandled_errors(problems: Problems, telemetry: Telemetry) -> Middleware:
    return Middleware(
        UnhandledErrorMiddleware,
        metrics=telemetry.metrics,
        unexpected=problems.unexpected,
        shutting_down=problems.shutting_down,
    )
