"""Runs the service in this process until it is asked to stop."""

import asyncio
import resource
import signal
import sys
from collections.abc import Callable, Mapping
from functools import partial
from http import HTTPStatus
from typing import Any, Final, cast

import structlog
import uvicorn

from ..api import webhooks
from ..api.body import MAX_BODY_BYTES
from ..api.problems import Problems
from ..limits.descriptors import descriptor_budget
from ..main import create_app, create_internal_app, create_telemetry
from ..middleware.security_headers import HEADERS
from ..observability.logging import configure_logging
from ..observability.telemetry import Telemetry
from ..settings import Settings
from ..settings.server import ServerSettings
from ..settings.sources import misspelt
from ..state import Shutdown
from .protocol import BoundedProtocol
from .server import InternalServer, Server

logger = structlog.get_logger(__name__)

_BACKLOG: Final = 4096
_INTERNAL_GRACE_SECONDS: Final = 1
_REJECTIONS: Final = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
)
"""The protocol itself responds with these: there is no request yet that middleware could see."""


def serve(settings: Settings) -> None:
    """Serve until the process is asked to stop, then finish the requests in progress.

    Args:
        settings: everything that an operator can set.

    Raises:
        SystemExit: with status 3, if a port is taken or the application does not start.
    """
    telemetry = create_telemetry(settings, configure_logging(settings.log))
    for line in misspelt():
        logger.warning("unknown_variable", detail=line)
    settings, max_connections = _fit_to_descriptors(settings, _raise_open_files_limit())
    shutdown = Shutdown()
    # uvicorn finishes what is in progress and then raises the signal again. By then everything is
    # done, and to end when asked to is not a failure.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    server = Server(
        _public(settings, telemetry, shutdown),
        shutdown=shutdown,
        delay_seconds=settings.server.shutdown_delay_seconds,
        max_connections=max_connections,
        count_not_accepted=telemetry.metrics.out_of_descriptors.labels("client").inc,
    )
    internal = _internal(settings, telemetry, shutdown)
    with asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner:
        runner.run(_serve(server, internal))


async def _serve(server: Server, internal: uvicorn.Config | None) -> None:
    if internal is None:
        await server.serve()
        return
    async with InternalServer(internal).running() as state:
        server.internal_state = state
        await server.serve()


def _public(settings: Settings, telemetry: Telemetry, shutdown: Shutdown) -> uvicorn.Config:
    server = settings.server
    return uvicorn.Config(
        create_app(settings, telemetry, shutdown, internal=server.internal_port is None),
        host=server.host,
        port=server.port,
        backlog=_BACKLOG,
        proxy_headers=bool(server.trusted_proxies),
        forwarded_allow_ips=[str(network) for network in server.trusted_proxies],
        timeout_graceful_shutdown=server.shutdown_grace_seconds,
        **_common(server, shutdown, webhooks.max_body_bytes if settings.webhooks.enabled else None),
    )


def _internal(
    settings: Settings, telemetry: Telemetry, shutdown: Shutdown
) -> uvicorn.Config | None:
    server = settings.server
    if server.internal_port is None:
        return None
    return uvicorn.Config(
        create_internal_app(settings, telemetry, shutdown),
        host=server.internal_host or server.host,
        port=server.internal_port,
        proxy_headers=False,
        timeout_graceful_shutdown=_INTERNAL_GRACE_SECONDS,
        **_common(server, shutdown),
    )


def _common(
    server: ServerSettings, shutdown: Shutdown, max_body_bytes: Callable[[str], int] | None = None
) -> dict[str, Any]:
    protocol = partial(
        BoundedProtocol,
        seconds=server.receive_timeout_seconds,
        max_body_bytes=max_body_bytes or (lambda _: MAX_BODY_BYTES),
        rejections=_rejections(Problems(server.public_url)),
        shutdown=shutdown,
    )
    return {
        # uvicorn only calls it; its annotation says that it must be a class.
        "http": cast("type[asyncio.Protocol]", protocol),
        "ws": "none",
        "lifespan": "on",
        "log_config": None,
        "access_log": False,
        "server_header": False,
        "timeout_keep_alive": server.keep_alive_seconds,
    }


def _rejections(problems: Problems) -> Mapping[int, bytes]:
    """Return, by status, the headers and the body of the protocol's own responses."""
    rejections = {}
    for status in _REJECTIONS:
        response = problems.unreadable(status)
        headers = {**response.headers, **HEADERS}.items()
        head = "".join(f"{name}: {value}\r\n" for name, value in headers)
        rejections[int(status)] = head.encode("latin-1") + b"\r\n" + bytes(response.body)
    return rejections


def _raise_open_files_limit() -> int:
    """Raise the limit on open files as far as this process may, and return it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return sys.maxsize if hard == resource.RLIM_INFINITY else hard


def _fit_to_descriptors(settings: Settings, open_files_limit: int) -> tuple[Settings, int]:
    """Return settings that admit no more requests than there are file descriptors for.

    Returns:
        The settings, and how many connections of clients the process may have.
    """
    limits = settings.limits
    wanted = (limits.max_in_flight, limits.connections.max_in_flight)
    # Each event that is being forwarded has a connection to its target.
    forwarded = settings.webhooks.max_in_flight * len(settings.webhooks.target_urls)
    budget = descriptor_budget(open_files_limit - forwarded, *wanted)
    if budget.in_flight != wanted:
        sessions, connections = budget.in_flight
        logger.warning(
            "max_in_flight_reduced",
            setting=limits.max_in_flight,
            effective=sessions,
            connections_setting=limits.connections.max_in_flight,
            connections_effective=connections,
            open_files_limit=open_files_limit,
        )
        reads = limits.connections.model_copy(update={"max_in_flight": connections})
        limits = limits.model_copy(update={"max_in_flight": sessions, "connections": reads})
        settings = settings.model_copy(update={"limits": limits})
    return settings, budget.connections
