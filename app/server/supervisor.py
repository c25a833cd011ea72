"""Runs workers: processes that serve the same port.

uvicorn's own supervisor runs uvicorn's own server only, replaces a worker without a pause and waits
for it without a limit (docs/adr/0020-workers.md).
"""

import asyncio
import signal
import time
from contextlib import suppress
from typing import Any, Final

import structlog
from prometheus_client.registry import Collector
from uvicorn.config import STARTUP_FAILURE

from ..observability.metrics import Metrics
from ..observability.worker_metrics import WorkerMetrics, families_of
from ..state import Shutdown
from .channel import WorkerChannel
from .worker import Target, Worker, wait_for_event

logger = structlog.get_logger(__name__)

# Between the end of a worker and the next start: twice as long each time it ends early.
_FIRST_PAUSE_SECONDS: Final = 1.0
_LONGEST_PAUSE_SECONDS: Final = 30.0
_STABLE_SECONDS: Final = 60.0


class Supervisor:
    """Starts workers, replaces those that end, and reports for all of them."""

    def __init__(
        self,
        target: Target,
        count: int,
        *,
        stop_seconds: float,
        shutdown: Shutdown,
        metrics: Metrics,
    ) -> None:
        """Prepare to run workers.

        Args:
            target: what each process runs; gets the end of a socket pair, for `channel.respond`.
            count: how many.
            stop_seconds: how long a worker may take to end after a signal, before it is killed.
            shutdown: records that the service has been asked to stop.
            metrics: those of this process.
        """
        self._target = target
        self._count = count
        self._shutdown = shutdown
        self._own_metrics = metrics
        self._all_metrics = WorkerMetrics()
        self._stop_seconds = stop_seconds
        self._stopping = asyncio.Event()
        self._workers: dict[int, Worker] = {}
        self._ever_started = False
        self._status = 0

    async def run(self) -> int:
        """Run the workers until the service is asked to stop; return the exit status."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop, number)
        try:
            async with asyncio.TaskGroup() as group:
                for worker in range(1, self._count + 1):
                    group.create_task(self._keep_running(worker))
        finally:
            self._send(signal.SIGKILL)
        return self._status

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Ask the workers to stop as this process was asked: at once for SIGINT or a second time.

        A worker counts each of the two signals once, because a terminal sends SIGINT, and systemd
        sends SIGTERM, to all processes of a service.
        """
        if not self._shutdown.begun:
            loop = asyncio.get_running_loop()
            loop.call_later(self._stop_seconds, self._send, signal.SIGKILL)
        elif number == signal.SIGTERM:
            number = signal.SIGINT
        self._shutdown.begun = True
        self._stopping.set()
        self._send(number)

    async def readiness(self) -> dict[str, dict[str, Any]]:
        """Return what each worker reports on `/readyz`, by its number."""
        reports = await self._request_all("readyz")
        others = {str(number): {"status": "not running"} for number in range(1, self._count + 1)}
        for number, worker in self._workers.items():
            status = "not responding" if worker.started else "starting"
            others[str(number)] = {"status": status}
        return others | reports

    async def metrics(self) -> Collector:
        """Return the metrics of all workers and of this process together."""
        reports = await self._request_all("metrics")
        own = {"supervisor": families_of(self._own_metrics.registry)}
        self._all_metrics.report(own | reports)
        return self._all_metrics

    async def _request_all(self, report: str) -> dict[str, Any]:
        async def request(number: int, channel: WorkerChannel) -> None:
            with suppress(OSError):
                reports[str(number)] = await channel.request(report)

        reports: dict[str, Any] = {}
        asked = dict(self._workers)
        channels = [(number, one.channel) for number, one in asked.items() if one.channel]
        await asyncio.gather(*(request(*one) for one in channels))
        # One that has ended meanwhile is counted among those that ended.
        ended = {str(number) for number, one in asked.items() if self._workers.get(number) != one}
        return {number: report for number, report in reports.items() if number not in ended}

    async def _keep_running(self, number: int) -> None:
        pause, first = _FIRST_PAUSE_SECONDS, True
        while not self._shutdown.begun:
            started = time.monotonic()
            status = await self._run_one(number)
            if self._shutdown.begun:
                return
            if first and status == STARTUP_FAILURE:
                # It would fail again: as a single process does, leave it to the service manager.
                self._status = STARTUP_FAILURE
                self.stop()
                return
            self._own_metrics.workers_ended.inc()
            first = False
            if time.monotonic() - started >= _STABLE_SECONDS:
                pause = _FIRST_PAUSE_SECONDS
            await wait_for_event(self._stopping, pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    async def _run_one(self, number: int) -> int:
        """Run one worker until it ends, and return its exit status."""
        try:
            self._workers[number] = worker = Worker(number, self._target)
        except OSError as error:
            logger.error("worker_not_started", worker=number, reason=error.strerror)  # noqa: TRY400
            return 1
        status = await worker.watch()
        self._ever_started |= any(one.started for one in self._workers.values())
        del self._workers[number]
        self._all_metrics.end(str(number))
        if not self._shutdown.begun:
            logger.error("worker_ended", worker=number, pid=worker.pid, exit_status=status)
        return status if self._ever_started else STARTUP_FAILURE

    def _send(self, number: int) -> None:
        for worker in self._workers.values():
            worker.send(number)
