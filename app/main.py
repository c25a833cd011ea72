"""The application, put together: routers, middleware in order, exception handlers."""

from collections.abc import Iterable

from fastapi import APIRouter, FastAPI
from starlette.middleware import Middleware
from starlette.routing import Route

from app import __version__
from app.api import health, metrics_page, openapi, problem_pages, vault_session
from app.api.problems import Problems
from app.api.security_schemes import security_schemes
from app.lifespan import lifespan_of
from app.middleware.access_log import AccessLogMiddleware
from app.middleware.allowed_hosts import AllowedHostsMiddleware
from app.middleware.cors import ExactOriginsMiddleware
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

_API = (vault_session.router,)
_OPERATION = (health.router, metrics_page.router, problem_pages.router)


def create_app(
    settings: Settings, redactor: Redactor | None = None, shutdown: Shutdown | None = None
) -> FastAPI:
    """Build the application. It opens and reads nothing until its lifespan starts.

    Args:
        settings: everything that an operator can set.
        redactor: removes secrets from the log; the lifespan adds those that the settings name.
        shutdown: reports when the process has been asked to stop.
    """
    problems = Problems(settings.server.public_url)
    telemetry = Telemetry(redactor or Redactor(), Metrics(), Tracing(settings.tracing))
    app = FastAPI(
        title="Vault BFF",
        version=__version__,
        summary="Creates Apideck Hosted Vault sessions for the people who are signed in.",
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        servers=[{"url": settings.server.public_url}] if settings.server.public_url else None,
        lifespan=lifespan_of(settings, telemetry, shutdown or Shutdown()),
        middleware=_middleware(settings, problems, telemetry),
        exception_handlers=problems.handlers(),
        docs_url="/docs" if settings.server.docs else None,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
        # A redirect would be built from the Host header, which the client chooses.
        redirect_slashes=False,
        # FastAPI's own tracing starts by itself as soon as any library sets a global provider.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    for router in (*_API, *_OPERATION):
        app.include_router(router)
    openapi.extend(app, *security_schemes(settings.identity))
    return app


def application() -> FastAPI:
    """Build the application from the environment, for a server that wants a factory.

    Raises:
        ConfigurationError: with one line for each fault in the settings.
    """
    settings = load_settings()
    return create_app(settings, configure_logging(settings.log))


def _middleware(settings: Settings, problems: Problems, telemetry: Telemetry) -> list[Middleware]:
    """Return the middleware, outermost first: each sees the responses of all that follow it."""
    metrics, tracing = telemetry.metrics, telemetry.tracing
    hosts, cors = settings.server.allowed_hosts, settings.cors
    stack: list[Middleware | None] = [
        # First, because all others log, or respond with the request's id.
        Middleware(RequestContextMiddleware),
        # Before the access log, so that its events have the trace's id.
        Middleware(TracingMiddleware, tracing=tracing) if tracing.enabled else None,
        # Before everything that can respond, so that every response is recorded, and has the
        # security headers.
        Middleware(AccessLogMiddleware, metrics=metrics),
        Middleware(SecurityHeadersMiddleware),
        Middleware(AllowedHostsMiddleware, hosts=hosts, respond=problems.respond)
        if hosts
        else None,
        # Before whatever rejects requests, so that pages can read why.
        Middleware(
            ExactOriginsMiddleware,
            cors=cors,
            identity=settings.identity,
            methods=_methods_of(_API),
            respond=problems.respond,
        )
        if cors.allow_origins
        else None,
        # Last, so that its responses pass through all of the above. Admission control goes here,
        # after it.
        Middleware(UnhandledErrorMiddleware, metrics=metrics, respond=problems.respond),
    ]
    return [one for one in stack if one is not None]


def _methods_of(routers: Iterable[APIRouter]) -> list[str]:
    routes = [route for router in routers for route in router.routes]
    return sorted({name for one in routes if isinstance(one, Route) for name in one.methods or ()})
