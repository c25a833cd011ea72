"""Accepts connections in bulk."""

import asyncio
import errno
import socket
from collections.abc import Callable
from typing import Any, Final

import structlog

logger = structlog.get_logger(__name__)

_ACCEPTED_PER_TURN: Final = 512
_RETRY_SECONDS: Final = 1.0
_EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
"""The process, or the machine, has too little of something to accept a connection (accept(2))."""


class Acceptor:
    """Accepts all connections that are waiting, each time the event loop finds the socket ready.

    uvloop accepts one connection a turn (libuv/libuv#3696), and a turn of a busy loop takes up to
    half a second: behind a few hundred others, a new connection would wait for minutes.
    """

    def __init__(
        self,
        listener: socket.socket,
        protocol: Callable[[], asyncio.Protocol],
        free: Callable[[], int],
        count_not_accepted: Callable[[], None],
    ) -> None:
        """Start accepting.

        Args:
            listener: a listening socket; `close` closes it.
            protocol: makes the protocol of one connection.
            free: returns how many more connections with a protocol there may be.
            count_not_accepted: is called when there may be no more, or the process has no file
                descriptor left. New connections then wait until the next try, a second later.
        """
        self._loop = asyncio.get_running_loop()
        self._listener = listener
        self._listener.settimeout(0)
        self._protocol = protocol
        self._free = free
        self._count_not_accepted = count_not_accepted
        self._tasks: set[asyncio.Task[Any]] = set()
        self._retry: asyncio.TimerHandle | None = None
        self._resume()

    def close(self) -> None:
        """Accept the connections that are waiting, and no others.

        Both happen at the same moment: closing the socket resets the connections that wait for it.
        """
        while self._free() > len(self._tasks) and self._accept_one():
            pass
        self._loop.remove_reader(self._listener)
        if self._retry is not None:
            self._retry.cancel()
        self._listener.close()

    async def wait_closed(self) -> None:
        """Return once every accepted connection has its protocol."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _resume(self) -> None:
        self._retry = None
        self._loop.add_reader(self._listener, self._accept)

    def _accept(self) -> None:
        free = self._free() - len(self._tasks)
        if free <= 0:
            self._pause("connection limit")
            return
        for _ in range(min(free, _ACCEPTED_PER_TURN)):
            if not self._accept_one():
                return

    def _accept_one(self) -> bool:
        try:
            connection, _address = self._listener.accept()
        except OSError as error:
            if error.errno in _EXHAUSTED:
                self._pause(errno.errorcode[error.errno])
            return False
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        task = self._loop.create_task(
            self._loop.connect_accepted_socket(self._protocol, connection)
        )
        self._tasks.add(task)
        task.add_done_callback(self._on_accepted)
        return True

    def _pause(self, reason: str) -> None:
        self._count_not_accepted()
        logger.error("connections_not_accepted", reason=reason)
        if self._retry is not None:
            self._retry.cancel()
        # The socket stays ready: without a pause, the loop would do nothing else.
        self._loop.remove_reader(self._listener)
        self._retry = self._loop.call_later(_RETRY_SECONDS, self._resume)

    def _on_accepted(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # The client has disconnected already.
