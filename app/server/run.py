"""Serves callers in this process until it is asked to stop."""

import asyncio
import resource
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from typing import Any, Final, cast

import structlog
import uvicorn

from ..api import health, webhooks
from ..api.body import MAX_BODY_BYTES
from ..api.problems import Problems
from ..limits.descriptors import descriptor_budget
from ..main import create_app, create_internal_app
from ..middleware.security_headers import HEADERS
from ..observability.telemetry import Telemetry
from ..observability.worker_metrics import families_of
from ..settings import Settings
from ..settings.server import ServerSettings
from ..state import AppState, Shutdown
from .channel import respond
from .protocol import BoundedProtocol
from .server import InternalServer, Server, WorkerServer

logger = structlog.get_logger(__name__)

_BACKLOG: Final = 4096
_INTERNAL_GRACE_SECONDS: Final = 1
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
_REJECTIONS: Final = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
)
"""The protocol itself responds with these: there is no request yet that middleware could see."""


def serve_callers(
    settings: Settings, telemetry: Telemetry, end: socket.socket | None = None
) -> None:
    """Serve in this process.

    Args:
        settings: everything that an operator can set.
        telemetry: what the service reports about itself.
        end: as a worker, the end of the socket pair on which its supervisor requests reports.

    Raises:
        SystemExit: with status 3, if a port is taken or the application does not start.
    """
    settings, max_connections = _fit_to_descriptors(settings, _raise_open_files_limit())
    shutdown = Shutdown()
    server = (Server if end is None else WorkerServer)(
        _public(settings, telemetry, shutdown),
        shutdown=shutdown,
        delay_seconds=settings.server.shutdown_delay_seconds,
        max_connections=max_connections,
        count_not_accepted=telemetry.metrics.out_of_descriptors.labels("client").inc,
    )
    internal = None if end is not None else internal_config(settings, telemetry, shutdown)
    with asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner:
        if end is None:
            runner.run(_serve(server, internal))
        else:
            runner.run(_serve_as_worker(server, telemetry, shutdown, end))


async def _serve(server: Server, internal: uvicorn.Config | None) -> None:
    if internal is None:
        await _serve_until_stopped(server)
        return
    async with InternalServer(internal).running() as state:
        server.internal_state = state
        await _serve_until_stopped(server)


async def _serve_as_worker(
    server: Server, telemetry: Telemetry, shutdown: Shutdown, end: socket.socket
) -> None:
    state = server.internal_state
    state.update(metrics=telemetry.metrics, shutdown=shutdown)
    reports = {
        "alive": lambda: True,
        "readyz": lambda: health.readiness(cast("AppState", state)),
        "metrics": lambda: families_of(telemetry.metrics.registry),
    }
    responding = asyncio.create_task(respond(end, reports))
    try:
        await _serve_until_stopped(server)
    finally:
        responding.cancel()
        with suppress(asyncio.CancelledError):
            await responding


async def _serve_until_stopped(server: Server) -> None:
    # uvicorn finishes what is in progress and then raises the signal again. By then everything is
    # done, and to end when asked to is not a failure.
    for number in _SIGNALS:
        signal.signal(number, lambda *_: None)
    await server.serve()


def exit_on_signals() -> None:
    """End at once and with status 0 when asked to, for as long as nothing has begun."""
    for number in _SIGNALS:
        signal.signal(number, lambda *_: sys.exit(0))


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


def internal_config(
    settings: Settings, telemetry: Telemetry, shutdown: Shutdown
) -> uvicorn.Config | None:
    """Return the configuration of the internal port, or None if the operator wants none.

    Args:
        settings: everything that an operator can set.
        telemetry: what the service reports about itself.
        shutdown: reports when the process has been asked to stop.
    """
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
    # Each event that is being forwarded has a connection to its target. With many targets, which
    # are hardly all slow at once, most descriptors are kept for callers.
    targets = settings.webhooks.max_in_flight * len(settings.webhooks.target_urls)
    forwarded = min(targets, open_files_limit // 4)
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
