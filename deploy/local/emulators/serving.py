"""Runs an ASGI app on a socket, in a thread."""

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any, Literal

import uvicorn

ANY_ADDRESS = "0.0.0.0"  # noqa: S104 - only in containers
_START_SECONDS = 10.0
_STOP_SECONDS = 10

Protocol = type[asyncio.Protocol] | Literal["auto", "h11", "httptools"]


@contextlib.contextmanager
def serve(
    app: Any, *, host: str = "127.0.0.1", port: int = 0, http: Protocol = "auto"
) -> Iterator[str]:
    """Serve an ASGI app from a thread until the context ends.

    The end of the context cancels requests in flight, because some of them hang on purpose.

    Args:
        app: an ASGI app.
        host: the address to listen on; for all addresses, the yielded URL uses loopback.
        port: the port to listen on; 0 chooses a free port.
        http: the HTTP implementation.

    Yields:
        The base URL, without a trailing slash.

    Raises:
        OSError: the port is in use.
        RuntimeError: the server did not start within ten seconds.
    """
    listener = socket.create_server((host, port), backlog=1024)
    config = uvicorn.Config(
        app,
        http=http,
        ws="none",
        lifespan="off",
        log_config=None,
        # Faults break connections on purpose, so errors are not logged.
        log_level="critical",
        access_log=False,
        # Longer than clients keep idle connections; uvicorn's default of 5 s breaks requests that
        # a busy machine sends on a connection which has just been closed.
        timeout_keep_alive=75,
        timeout_graceful_shutdown=_STOP_SECONDS,
    )
    server = _Server(config)
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    try:
        _wait_for(server, thread)
        named = "127.0.0.1" if host == ANY_ADDRESS else host
        yield f"http://{named}:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


def _wait_for(server: uvicorn.Server, thread: threading.Thread) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not server.started:
        if not thread.is_alive() or time.monotonic() > deadline:
            raise RuntimeError("the server did not start")
        time.sleep(0.005)


class _Server(uvicorn.Server):
    """A server that ignores signals and does not wait for requests that hang."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture no signals: the main thread handles them."""
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Cancel the requests in flight, then close."""
        for task in self.server_state.tasks:
            task.cancel()
        await super().shutdown(sockets)
