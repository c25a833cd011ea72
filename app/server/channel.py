"""How the supervisor and a worker talk: a line of JSON over a socket pair, and a line back.

A socket pair needs no file and no port, only the two processes have it, and each of them notices at
once when the other is gone.
"""

import asyncio
import json
import signal
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final

import structlog

logger = structlog.get_logger(__name__)

_MAX_LINE_BYTES: Final = 16 * 1024 * 1024
_SECONDS: Final = 2.0


class WorkerChannel:
    """The supervisor's end."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._one_at_a_time = asyncio.Lock()
        self._number = 0

    @classmethod
    async def over(cls, end: socket.socket) -> "WorkerChannel":
        """Return a channel over one end of a socket pair; `close` closes it."""
        return cls(*await asyncio.open_connection(sock=end, limit=_MAX_LINE_BYTES))

    async def request(self, report: str) -> Any:
        """Return a report of the worker.

        Raises:
            OSError: the worker is gone, or does not respond within two seconds.
        """
        async with asyncio.timeout(_SECONDS), self._one_at_a_time:
            self._number += 1
            self._writer.write(json.dumps([self._number, report]).encode() + b"\n")
            # The last line is incomplete if the worker was killed while it sent it.
            while (line := await self._reader.readline()).endswith(b"\n"):
                number, value = json.loads(line)
                if number == self._number:  # Otherwise it is the response to one that timed out.
                    return value
            raise ConnectionResetError

    async def close(self) -> None:
        """Close this end."""
        self._writer.close()
        with suppress(OSError):
            await self._writer.wait_closed()


async def respond(end: socket.socket, reports: Mapping[str, Callable[[], Any]]) -> None:
    """Send the supervisor the reports that it requests, until it is gone; then end this process.

    Args:
        end: the worker's end of the socket pair.
        reports: what to report, by the name of the report; as JSON can represent it.
    """
    reader, writer = await asyncio.open_connection(sock=end)
    try:
        with suppress(ConnectionError):
            while line := await reader.readline():
                number, report = json.loads(line)
                try:
                    response = json.dumps([number, reports[report]()])
                except Exception:
                    # The supervisor does without this report, and the worker goes on.
                    logger.exception("unexpected_error")
                    continue
                writer.write(response.encode() + b"\n")
                await writer.drain()
    finally:
        writer.close()
    signal.raise_signal(signal.SIGTERM)
