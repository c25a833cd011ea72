"""Starts the service: in this process, or in several workers with this process as supervisor."""

import asyncio
import platform
import socket
import sys
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any, Final

import structlog

from .. import __version__
from ..main import create_telemetry
from ..observability.logging import configure_logging
from ..observability.telemetry import Telemetry
from ..settings import Settings
from ..settings.limits import MEMORY
from ..settings.sources import misspelt
from ..state import Shutdown
from .cores import usable_cores
from .listener import bind
from .run import exit_on_signals, internal_server, serve_callers
from .supervisor import Supervisor

logger = structlog.get_logger(__name__)

_END_SECONDS: Final = 10
"""For how much longer than their requests workers may take to end."""


def serve(settings: Settings) -> None:
    """Serve until the process is asked to stop, then finish the requests in progress.

    Args:
        settings: everything that an operator can set.

    Raises:
        SystemExit: with status 3, if a port is taken or the application does not start.
    """
    exit_on_signals()
    telemetry = create_telemetry(settings, configure_logging(settings.log))
    workers = settings.server.workers
    count = usable_cores() if workers == "auto" else workers
    logger.info(
        "service_starting",
        version=__version__,
        python_version=platform.python_version(),
        workers=count,
    )
    for line in misspelt():
        logger.warning("unknown_variable", detail=line)
    if count > 1:
        _supervise(settings, telemetry, count)
    else:
        serve_callers(settings, telemetry)


def _supervise(settings: Settings, telemetry: Telemetry, count: int) -> None:
    if settings.limits.store.get_secret_value() == MEMORY:
        logger.warning("limits_counted_by_each_worker", workers=count)
    server, shutdown = settings.server, Shutdown()
    bind(server.host, server.port).close()  # It fails if another process has the port.
    supervisor = Supervisor(
        partial(_run_worker, settings),
        count,
        stop_seconds=server.shutdown_delay_seconds + server.shutdown_grace_seconds + _END_SECONDS,
        shutdown=shutdown,
        metrics=telemetry.metrics,
    )
    # No other process gets the port while no worker has it.
    with bind(server.host, server.port, shared=True):
        status = asyncio.run(_run(supervisor, internal_server(settings, telemetry, shutdown)))
    if status:
        sys.exit(status)


async def _run(
    supervisor: Supervisor, internal: AbstractAsyncContextManager[dict[str, Any]]
) -> int:
    async with internal as state:
        state["workers"] = supervisor
        return await supervisor.run()


def _run_worker(settings: Settings, end: socket.socket) -> None:
    exit_on_signals()
    telemetry = create_telemetry(settings, configure_logging(settings.log))
    serve_callers(settings, telemetry, end)
