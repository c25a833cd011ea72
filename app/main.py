"""The application, put together: routers, middleware in order, answers to errors."""

from fastapi import FastAPI
from starlette.middleware import Middleware

from app import __version__
from app.api import health, metrics_page, openapi, problem_pages, vault_session
from app.api.problems import Problems
from app.lifespan import lifespan_of
from app.middleware.access_log import AccessLogMiddleware
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

_ROOMS = (vault_session, health, metrics_page, problem_pages)


def create_app(
    settings: Settings, redactor: Redactor | None = None, shutdown: Shutdown | None = None
) -> FastAPI:
    """Build the application. Nothing is opened, and nothing read, until its lifespan starts.

    Args:
        settings: everything that an operator can set.
        redactor: what takes secrets out of the log; it is taught those that the settings name.
        shutdown: says when the process was told to end.
    """
    problems = Problems(settings.server.public_url)
    metrics = Metrics()
    tracing = Tracing(settings.tracing)
    telemetry = Telemetry(redactor or Redactor(), metrics, tracing)
    app = FastAPI(
        title="Vault BFF",
        version=__version__,
        summary="Mints Apideck Hosted Vault sessions for whoever is signed in.",
        lifespan=lifespan_of(settings, telemetry, shutdown or Shutdown()),
        middleware=_middleware(settings, problems, metrics, tracing),
        # As they are: FastAPI calls a route of an included router by way of a copy, which is not an
        # AuditedRoute's own, and in four more steps.
        routes=[route for room in _ROOMS for route in room.router.routes],
        docs_url="/docs" if settings.server.docs else None,
        redoc_url=None,
        # FastAPI's own tracing starts by itself as soon as any library sets a global provider.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    problems.install(app)
    openapi.install(app, settings.identity, problems)
    return app


def application() -> FastAPI:
    """Build the application from the environment, for a server that wants a factory.

    Raises:
        ConfigurationError: with one line for each thing that is wrong with the settings.
    """
    settings = load_settings()
    return create_app(settings, configure_logging(settings.log))


def _middleware(
    settings: Settings, problems: Problems, metrics: Metrics, tracing: Tracing
) -> list[Middleware]:
    """Return the middleware, the outermost first: each sees the answers of all that follow."""
    stack = [
        Middleware(RequestContextMiddleware),
        *([Middleware(TracingMiddleware, tracing=tracing)] if tracing.enabled else []),
        Middleware(AccessLogMiddleware),
        Middleware(HttpMetricsMiddleware, metrics=metrics),
        Middleware(SecurityHeadersMiddleware),
    ]
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
    stack.append(
        Middleware(
            UnhandledErrorMiddleware,
            metrics=metrics,
            unexpected=problems.unexpected,
            shutting_down=problems.shutting_down,
        )
    )
    return stack
