"""HTTP of a process that more is asked of than it can do: uvicorn's own, with a gate before it.

What cannot be served has to cost next to nothing, or refusing takes the CPU of those who could be
served. So a request that finds no place waits here, before anything is made of it but its head,
and is answered from here where it finds none in time.
"""

import asyncio
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from uvicorn._types import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, Scope
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from app.errors import VaultBffError

_ACCEPTED_AT_ONCE = 512

Answer = tuple[int, bytes, bytes]
"""Status, headers as lines, and body."""


class Door(Protocol):
    """Says who needs a place, and what to tell whom there is none for."""

    def guards(self, scope: Mapping[str, Any]) -> bool:
        """Tell whether a request needs a place."""

    def answer(self, scope: Mapping[str, Any], error: VaultBffError) -> Answer:
        """Return the answer to a request that there is no place for."""

    def note_gone(self, scope: Mapping[str, Any]) -> None:
        """Take note of a caller who hung up before there was a place."""


@dataclass(slots=True, eq=False)
class _Visitor:
    """A request that waits for the gate's word."""

    connection: "CrowdedProtocol"
    cycle: RequestResponseCycle
    app: ASGI3Application

    def start(self) -> bool:
        if self._is_gone():
            return False
        self.connection.begin(self.cycle, self._inside)
        return True

    def refuse(self, error: VaultBffError) -> bool:
        if self._is_gone():
            return False
        self.connection.refuse(self.cycle, error)
        return True

    def _is_gone(self) -> bool:
        if not (self.cycle.disconnected or self.connection.transport.is_closing()):
            return False
        self.connection.door.note_gone(self.cycle.scope)
        return True

    async def _inside(
        self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable
    ) -> None:
        try:
            await self.app(scope, receive, send)
        finally:
            scope["state"]["gate"].leave()


class CrowdedProtocol(HttpToolsProtocol):
    """One connection. Subclasses say which door it leads to."""

    door: Door
    _visitor: _Visitor | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more, and leave nothing behind that holds on to itself.

        The garbage collector comes seldom, and strangers would fill the memory with what is left.
        """
        super().connection_lost(exc)
        visitor, self._visitor = self._visitor, None
        if visitor is not None:
            # uvicorn tells the newest request of a connection only that its caller hung up.
            visitor.cycle.disconnected = not visitor.cycle.response_complete
            visitor.cycle.message_event.set()
            if self.app_state["gate"].forget(visitor):
                self.door.note_gone(visitor.cycle.scope)
                _let_go(visitor.cycle)
        for cycle, _ in self.pipeline:
            _let_go(cycle)

    def on_response_complete(self) -> None:
        """Go on to the next request."""
        self._visitor = None
        super().on_response_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        # uvicorn calls this once a request's head is there and those before it have their answers.
        if self.app_state["shutdown"].begun:
            cycle.keep_alive = False  # The answer says so, and the next request goes elsewhere.
        if self.door.guards(cycle.scope):
            cycle.scope["state"]["received_at"] = time.perf_counter()
            self._visitor = _Visitor(self, cycle, app)
            self.app_state["gate"].come(self._visitor)
        else:
            self.begin(cycle, app)

    def begin(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        """Have the application work on a request."""
        super()._start_asgi_task(cycle, app)

    def refuse(self, cycle: RequestResponseCycle, error: VaultBffError) -> None:
        """Answer a request in place of the application; another may follow on the connection."""
        self.write(self.door.answer(cycle.scope, error), last=not cycle.keep_alive)
        if self.flow.write_paused:
            self.transport.abort()  # They ask and ask, and read no answer.
        cycle.response_started = cycle.response_complete = True
        cycle.on_response()
        _let_go(cycle)

    def write(self, answer: Answer, *, last: bool) -> None:
        """Write an answer that the application knows nothing of.

        Args:
            answer: status, headers and body.
            last: whether the connection ends with it.
        """
        status, headers, body = answer
        defaults = [b"%b: %b\r\n" % header for header in self.server_state.default_headers]
        end = b"connection: close\r\n\r\n" if last else b"\r\n"
        self.transport.write(b"".join([STATUS_LINE[status], *defaults, headers, end, body]))
        if last:
            self.transport.close()


def lines(headers: Mapping[str, str]) -> bytes:
    """Return headers as they are written."""
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode("latin-1")


def _let_go(cycle: RequestResponseCycle) -> None:
    """Take from a request that nobody works on what leads back to its connection."""
    cycle.on_response = lambda: None


class Acceptor:
    """Takes every connection that has come, as often as the event loop looks.

    uvloop takes one each time (libuv/libuv#3696). A turn of a busy loop takes half a second; a
    probe that comes after a few hundred others would wait for minutes, and the process be killed.
    """

    def __init__(self, listening: int, protocol: Callable[[], asyncio.Protocol]) -> None:
        """Begin.

        Args:
            listening: descriptor of a socket that listens; it stays the caller's.
            protocol: makes what serves a connection.
        """
        self._loop = asyncio.get_running_loop()
        self._socket = socket.socket(fileno=socket.dup(listening))
        self._socket.settimeout(0)
        self._protocol = protocol
        self._tasks: set[asyncio.Task[Any]] = set()
        self._loop.add_reader(self._socket, self._accept)

    def close(self) -> None:
        """Take those who have come, and no more."""
        self._accept()
        self._loop.remove_reader(self._socket)
        self._socket.close()

    async def wait_closed(self) -> None:
        """Return once who was taken has a connection."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self) -> None:
        for _ in range(_ACCEPTED_AT_ONCE):
            try:
                connection, _address = self._socket.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            made = self._loop.connect_accepted_socket(self._protocol, connection)
            task = self._loop.create_task(made)
            self._tasks.add(task)
            task.add_done_callback(self._made)

    def _made(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # Whoever is gone already needs no connection.
