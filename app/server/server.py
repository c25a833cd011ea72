"""uvicorn's server: for callers, with a delay before it closes; and a second one for probes."""

import asyncio
import gc
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from types import FrameType
from typing import Any, cast

import uvicorn

from ..state import Shutdown
from .acceptor import Acceptor
from .listener import bind, listen


class InternalServer(uvicorn.Server):
    """Serves probes and metrics; opens before the public server, and closes after it."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._opened = asyncio.Event()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[dict[str, Any]]:
        """Serve for as long as the context lasts; yields the state that requests find."""
        serving = asyncio.create_task(self.serve())
        serving.add_done_callback(lambda _: self._opened.set())
        await self._opened.wait()
        if serving.done():
            await serving  # It has failed.
        try:
            yield self.lifespan.state
        finally:
            self.should_exit = True
            await serving

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Open the port."""
        if not sockets:
            sockets = [bind(self.config.host, self.config.port)]
            listen(sockets[0], self.config.backlog)
        await super().startup(sockets)
        self._opened.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none: the public server decides when the process ends."""
        yield


class Server(uvicorn.Server):
    """Serves callers until the process is asked to stop, and then until they have responses.

    Attributes:
        internal_state: gets the application's state once that has started.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        *,
        shutdown: Shutdown,
        delay_seconds: float,
        max_connections: int,
        count_not_accepted: Callable[[], None],
    ) -> None:
        """Prepare to serve.

        Args:
            config: uvicorn's own configuration.
            shutdown: records that the process has been asked to stop.
            delay_seconds: how long the port stays open after SIGTERM.
            max_connections: how many connections may be open at the same time.
            count_not_accepted: is called when no more connections can be accepted.
        """
        super().__init__(config)
        self._shutdown = shutdown
        self._delay_seconds = delay_seconds
        self._max_connections = max_connections
        self._count_not_accepted = count_not_accepted
        self.internal_state: dict[str, Any] = {}
        self._acceptor: Acceptor | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Bind the port, start the application, and accept connections."""
        listener = self._bind()
        await super().startup(sockets or [])  # No sockets: uvicorn itself accepts nothing.
        self.internal_state.update(self.lifespan.state)
        listen(listener, self.config.backlog)
        self._acceptor = Acceptor(
            listener, self._protocol, self._free_connections, self._count_not_accepted
        )
        _tune_garbage_collector()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept no more connections, and finish the requests in progress."""
        if self._acceptor is not None:
            self._acceptor.close()
            await self._acceptor.wait_closed()  # uvicorn closes only connections that it knows.
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop being ready, and end after the delay; at once for SIGINT or a second signal."""
        first, self._shutdown.begun = not self._shutdown.begun, True
        if first and self._delay_seconds and sig == signal.SIGTERM:
            loop = asyncio.get_running_loop()
            loop.call_later(self._delay_seconds, super().handle_exit, sig, frame)
        else:
            super().handle_exit(sig, frame)

    def _bind(self) -> socket.socket:
        return bind(self.config.host, self.config.port)

    def _free_connections(self) -> int:
        return self._max_connections - len(self.server_state.connections)

    def _protocol(self) -> asyncio.Protocol:
        # As `uvicorn.Server.startup` creates the protocols of connections that uvicorn accepts.
        create = cast("Callable[..., asyncio.Protocol]", self.config.http_protocol_class)
        return create(
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )


class WorkerServer(Server):
    """One of several workers.

    A terminal sends SIGINT, and systemd SIGTERM, to the workers as well as to their supervisor,
    which passes it on. So each signal counts once; for a second SIGTERM, the supervisor sends
    SIGINT, which ends the delay and not the requests in flight.
    """

    _received: frozenset[int] = frozenset()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Act on a signal, unless it was received before."""
        if sig not in self._received:
            # To uvicorn, SIGINT during a shutdown says to cut off the requests in flight.
            effective = signal.SIGTERM if self._received else sig
            self._received |= {sig}
            super().handle_exit(effective, frame)

    def _bind(self) -> socket.socket:
        # The kernel spreads connections evenly over the workers that listen
        # (docs/adr/0020-workers.md).
        return bind(self.config.host, self.config.port, shared=True)


def _tune_garbage_collector() -> None:
    """Run the garbage collector rarely, and never over what was created at startup.

    docs/performance.md has what it cost with a thousand requests in flight otherwise.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(200_000, 10, 10)
