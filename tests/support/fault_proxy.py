"""Network faults between the service and Apideck, which the emulator cannot produce."""

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from urllib.parse import urlsplit

HEAD_END = b"\r\n\r\n"
DRIP_SECONDS = 0.02
_BACKLOG = 2048
"""Connections that can be pending; the client retries further connections only a second later."""


class ProxiedConnection:
    """One connection of the service, with the operations that a fault can use."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        upstream: tuple[str, int],
        count: Callable[[], None],
    ) -> None:
        self._reader = reader
        self.writer = writer
        self._upstream = upstream
        self._count = count

    async def request(self) -> bytes:
        """Return the next request, read completely."""
        message = await _message(self._reader)
        self._count()
        return message

    async def response(self) -> bytes:
        """Return the emulator's response to the next request."""
        request = await self.request()
        reader, writer = await asyncio.open_connection(*self._upstream)
        with closing(writer):
            writer.write(request)
            return await _message(reader)

    async def drip(self, data: bytes) -> None:
        """Send one byte at a time, so that no single read takes long."""
        for byte in data:
            self.writer.write(bytes([byte]))
            await asyncio.sleep(DRIP_SECONDS)

    def reset(self) -> None:
        """End the connection with a TCP reset, as after a crash."""
        sock = self.writer.get_extra_info("socket")
        # With a linger time of zero, closing sends a reset (SO_LINGER in socket(7)).
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


Fault = Callable[[ProxiedConnection], Awaitable[None]]


async def no_fault(connection: ProxiedConnection) -> None:
    """Forward everything."""
    while True:
        connection.writer.write(await connection.response())


async def closes_after_accept(_: ProxiedConnection) -> None:
    """Close the connection before a request arrives."""


async def resets_after_accept(connection: ProxiedConnection) -> None:
    """Reset the connection before a request arrives."""
    connection.reset()


async def closes_after_request(connection: ProxiedConnection) -> None:
    """Close the connection instead of responding."""
    await connection.request()


async def resets_after_request(connection: ProxiedConnection) -> None:
    """Reset the connection instead of responding."""
    await connection.request()
    connection.reset()


async def black_hole(connection: ProxiedConnection) -> None:
    """Read every request and never respond."""
    while True:
        await connection.request()


async def closes_in_head(connection: ProxiedConnection) -> None:
    """Close the connection in the middle of the headers."""
    connection.writer.write((await connection.response())[:30])
    await connection.writer.drain()


async def drips_head(connection: ProxiedConnection) -> None:
    """Send the headers byte by byte."""
    await connection.drip(await connection.response())


async def sends_no_http(connection: ProxiedConnection) -> None:
    """Behave like a server of another protocol, which sends data first."""
    connection.writer.write(b"SSH-2.0-OpenSSH_9.2\r\n")
    await connection.request()


async def sends_endless_headers(connection: ProxiedConnection) -> None:
    """Send headers that never end."""
    await connection.request()
    connection.writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        connection.writer.write(b"x-more: %s\r\n" % (b"x" * 4000))
        await connection.writer.drain()


async def sends_two_lengths(connection: ProxiedConnection) -> None:
    """Send two Content-Length headers, as in response splitting (RFC 9112 section 6.3)."""
    head, _, body = (await connection.response()).partition(HEAD_END)
    connection.writer.write(head + b"\r\ncontent-length: 5" + HEAD_END + body)
    await connection.writer.drain()


async def resets_in_body(connection: ProxiedConnection) -> None:
    """Reset the connection in the middle of the body."""
    head, _, body = (await connection.response()).partition(HEAD_END)
    connection.writer.write(head + HEAD_END + body[:40])
    await connection.writer.drain()
    # Long enough for the headers to be read: a reset discards data that has not been read.
    await asyncio.sleep(0.1)
    connection.reset()


async def closes_in_body(connection: ProxiedConnection) -> None:
    """Close the connection in the middle of the body."""
    head, _, body = (await connection.response()).partition(HEAD_END)
    connection.writer.write(head + HEAD_END + body[:40])
    await connection.writer.drain()


async def sends_invalid_chunk(connection: ProxiedConnection) -> None:
    """Send a chunk, then an invalid one, and keep the connection open."""
    await connection.response()
    connection.writer.write(b'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n6\r\n{"data\r\n')
    await connection.writer.drain()
    await asyncio.sleep(0.1)  # So that the next chunk does not arrive together with the headers.
    connection.writer.write(b"no length\r\n")
    await connection.request()


async def drips_body(connection: ProxiedConnection) -> None:
    """Send the body byte by byte."""
    head, _, body = (await connection.response()).partition(HEAD_END)
    connection.writer.write(head + HEAD_END)
    await connection.drip(body)


def sends_extra_response(trigger: asyncio.Event) -> Fault:
    """Return a fault that sends the first response a second time, and then forwards everything.

    Args:
        trigger: once it is set, the response is sent again; it arrives a moment later.
    """

    async def fault(connection: ProxiedConnection) -> None:
        response = await connection.response()
        connection.writer.write(response)
        await trigger.wait()
        connection.writer.write(response)
        await no_fault(connection)

    return fault


def delays_until(event: asyncio.Event) -> Fault:
    """Return a fault that forwards requests, and sends responses only once the event is set."""

    async def fault(connection: ProxiedConnection) -> None:
        while True:
            response = await connection.response()
            await event.wait()
            connection.writer.write(response)

    return fault


def after_one_success(then: Fault) -> Fault:
    """Return a fault that begins with the second request on a connection."""

    async def fault(connection: ProxiedConnection) -> None:
        connection.writer.write(await connection.response())
        await then(connection)

    return fault


class FaultProxy:
    """A proxy between the service and the emulator.

    Attributes:
        url: its URL.
        next_faults: the faults of the next connections, in order.
        fault: the fault of all later connections.
        connections: the number of connections that were opened.
        requests: the number of complete requests that arrived.
    """

    def __init__(self, upstream_url: str) -> None:
        upstream = urlsplit(upstream_url)
        self._upstream = (upstream.hostname or "", upstream.port or 80)
        self._open: set[asyncio.Task[None]] = set()
        self.url = ""
        self.next_faults: list[Fault] = []
        self.fault: Fault = no_fault
        self.connections = 0
        self.requests = 0

    @property
    def open(self) -> int:
        """The number of open connections."""
        return len(self._open)

    @asynccontextmanager
    async def serve(
        self, tls: ssl.SSLContext | None = None, *, port: int = 0
    ) -> AsyncIterator["FaultProxy"]:
        """Serve on loopback in the running event loop until the context ends."""
        server = await asyncio.start_server(
            self._connected, "127.0.0.1", port, ssl=tls, backlog=_BACKLOG
        )
        scheme = "http" if tls is None else "https"
        self.url = f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()
            for task in self._open:
                task.cancel()
            await asyncio.gather(*self._open, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        fault = self.next_faults.pop(0) if self.next_faults else self.fault
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            await fault(ProxiedConnection(reader, writer, self._upstream, self._count_request))
        except (OSError, EOFError, asyncio.CancelledError):
            pass  # The service has disconnected, or the test is over.
        finally:
            self._open.discard(task)
            writer.close()

    def _count_request(self) -> None:
        self.requests += 1


async def _message(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(HEAD_END)
    length = 0
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            length = int(value)
    return head + await reader.readexactly(length)


@contextmanager
def never_accepts() -> Iterator[str]:
    """Listen with a full queue of connections; yields a URL to which no connection succeeds.

    To the client, this looks like a host behind a firewall that drops packets.
    """
    listener = socket.create_server(("127.0.0.1", 0), backlog=0)
    filling = [socket.socket() for _ in range(4)]
    try:
        for one in filling:
            one.settimeout(0)
            one.connect_ex(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        for one in (*filling, listener):
            one.close()
