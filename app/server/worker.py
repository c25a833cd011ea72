"""One worker process, as its supervisor sees it."""

import asyncio
import multiprocessing
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import structlog

from .channel import WorkerChannel

logger = structlog.get_logger(__name__)

Target = Callable[[socket.socket], None]

# A fork would copy locks of the thread that writes the log, in whatever state they are.
_SPAWN: Final = multiprocessing.get_context("spawn")
_CHECK_SECONDS: Final = 5.0
_START_CHECK_SECONDS: Final = 0.05
# A worker that does not respond for so long is killed: before its first response, and later.
_START_SECONDS: Final = 120.0
_SILENT_SECONDS: Final = 30.0


class Worker:
    """One process.

    Attributes:
        channel: how to get its reports; None before it has responded, and while it does not.
        started: whether it has ever responded.
        pid: its process id.
    """

    def __init__(self, number: int, target: Target) -> None:
        """Start the process.

        Args:
            number: its number, from 1 on.
            target: what it runs; gets the end of a socket pair, for `channel.respond`.

        Raises:
            OSError: the system allows no further process.
        """
        self._own_end, end = socket.socketpair()
        with end:
            self._process = _SPAWN.Process(target=target, args=(end,), name=f"worker-{number}")
            try:
                self._process.start()
            except OSError:
                self._own_end.close()
                raise
        self.pid = int(self._process.pid or 0)
        self.channel: WorkerChannel | None = None
        self.started = False

    def send(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self._process.exitcode is None:
            os.kill(self.pid, number)

    async def watch(self) -> int:
        """Wait until the process has ended, and return its exit status."""
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        channel = await WorkerChannel.over(self._own_end)
        loop.add_reader(self._process.sentinel, ended.set)
        responded_at = loop.time()
        pause = _START_CHECK_SECONDS
        while not await wait_for_event(ended, pause):
            try:
                await channel.request("alive")
            except OSError as error:
                self.channel = None
                # One that has closed its end will not respond again.
                closed = isinstance(error, ConnectionError)
                pause = _CHECK_SECONDS if closed else _START_CHECK_SECONDS
            else:
                self.channel, self.started, responded_at = channel, True, loop.time()
                pause = _CHECK_SECONDS
            allowed = _SILENT_SECONDS if self.started else _START_SECONDS
            if loop.time() >= responded_at + allowed:
                logger.error("worker_not_responding", pid=self.pid)
                self._process.kill()
        loop.remove_reader(self._process.sentinel)
        await channel.close()
        self._process.join()
        status = self._process.exitcode
        self._process.close()
        return int(status or 0)


async def wait_for_event(event: asyncio.Event, seconds: float) -> bool:
    """Wait for an event, and return whether it happened in time."""
    with suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)
    return event.is_set()
