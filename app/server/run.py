"""Serves callers in this process until it is asked to stop."""

import asyncio
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from functools import partial
from http import HTTPStatus
from typing import Any, Final, cast

import uvicorn

from ..api import health, webhooks
from ..api.problems import Problems
from ..limits.descriptors import fit_to_descriptors, raise_open_files_limit
from ..main import create_app, create_internal_app
from ..middleware.security_headers import HEADERS
from ..observability.metrics import Metrics
from ..observability.telemetry import Telemetry
from ..observability.worker_metrics import families_of
from ..settings import Settings
from ..settings.server import ServerSettings
from ..state import AppState, Shutdown
from .channel import respond
from .protocol import BoundedProtocol
from .server import InternalServer, Server, WorkerServer

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
    settings, max_connections = fit_to_descriptors(settings, raise_open_files_limit())
    shutdown = Shutdown()
    server = (Server if end is None else WorkerServer)(
        _public(settings, telemetry, shutdown),
        shutdown=shutdown,
        delay_seconds=settings.server.shutdown_delay_seconds,
        max_connections=max_connections,
        count_not_accepted=telemetry.metrics.out_of_descriptors.labels("client").inc,
    )
    reporting = (
        internal_server(settings, telemetry, shutdown)
        if end is None
        else _reporting(telemetry.metrics, end)
    )
    with asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner:
        runner.run(_serve(server, reporting))


async def _serve(server: Server, reporting: AbstractAsyncContextManager[dict[str, Any]]) -> None:
    async with reporting as server.internal_state:
        # uvicorn finishes what is in progress and then raises the signal again. By then everything
        # is done, and to end when asked to is not a failure.
        for number in _SIGNALS:
            signal.signal(number, lambda *_: None)
        await server.serve()


@asynccontextmanager
async def _reporting(metrics: Metrics, end: socket.socket) -> AsyncIterator[dict[str, Any]]:
    """Respond to the supervisor; yields the state that its reports are about."""
    state: dict[str, Any] = {}
    reports = {
        "alive": lambda: True,
        "readyz": lambda: health.readiness(cast("AppState", state)),
        "metrics": lambda: families_of(metrics.registry),
    }
    responding = asyncio.create_task(respond(end, reports))
    try:
        yield state
    finally:
        responding.cancel()
        with suppress(asyncio.CancelledError):
            await responding


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
        **_common(server, shutdown),
    )


@asynccontextmanager
async def internal_server(
    settings: Settings, telemetry: Telemetry, shutdown: Shutdown
) -> AsyncIterator[dict[str, Any]]:
    """Serve the internal port, if the operator wants one; yields the state that requests find.

    Args:
        settings: everything that an operator can set.
        telemetry: what the service reports about itself.
        shutdown: reports when the process has been asked to stop.
    """
    server = settings.server
    if server.internal_port is None:
        yield {}
        return
    config = uvicorn.Config(
        create_internal_app(settings, telemetry, shutdown),
        host=server.internal_host or server.host,
        port=server.internal_port,
        proxy_headers=False,
        timeout_graceful_shutdown=_INTERNAL_GRACE_SECONDS,
        **_common(server, shutdown),
    )
    async with InternalServer(config).running() as state:
        yield state


def _common(server: ServerSettings, shutdown: Shutdown) -> dict[str, Any]:
    protocol = partial(
        BoundedProtocol,
        seconds=server.receive_timeout_seconds,
        max_body_bytes=webhooks.max_body_bytes,
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
