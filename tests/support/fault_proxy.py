"""What can go wrong between the service and Apideck, below what the emulator can do."""

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
"""Connections that may come in one turn of the loop: none is to be tried anew a second later."""


class Conversation:
    """One connection of the service's, and what a fault can do with it."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        upstream: tuple[str, int],
        note: Callable[[], None],
    ) -> None:
        self._reader = reader
        self.writer = writer
        self._upstream = upstream
        self._note = note

    async def request(self) -> bytes:
        """Return the next whole request."""
        whole = await _message(self._reader)
        self._note()
        return whole

    async def answer(self) -> bytes:
        """Return what the emulator says to the next request."""
        request = await self.request()
        reader, writer = await asyncio.open_connection(*self._upstream)
        with closing(writer):
            writer.write(request)
            return await _message(reader)

    async def drip(self, data: bytes) -> None:
        """Send so little at a time that no read ever waits for long."""
        for byte in data:
            self.writer.write(bytes([byte]))
            await asyncio.sleep(DRIP_SECONDS)

    def reset(self) -> None:
        """End the connection with a TCP reset, as a crashing host does."""
        connection = self.writer.get_extra_info("socket")
        # Lingering for zero seconds turns closing into a reset (SO_LINGER in socket(7)).
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


Fault = Callable[[Conversation], Awaitable[None]]


async def no_fault(it: Conversation) -> None:
    """Pass everything on."""
    while True:
        it.writer.write(await it.answer())


async def closes_after_accept(_: Conversation) -> None:
    """Hang up before there was a request."""


async def resets_after_accept(it: Conversation) -> None:
    """Break before there was a request."""
    it.reset()


async def closes_after_request(it: Conversation) -> None:
    """Hang up instead of answering."""
    await it.request()


async def resets_after_request(it: Conversation) -> None:
    """Break instead of answering."""
    await it.request()
    it.reset()


async def black_hole(it: Conversation) -> None:
    """Take everything and answer nothing."""
    while True:
        await it.request()


async def closes_in_head(it: Conversation) -> None:
    """Hang up in the middle of the headers."""
    it.writer.write((await it.answer())[:30])
    await it.writer.drain()


async def drips_head(it: Conversation) -> None:
    """Send the headers byte by byte."""
    await it.drip(await it.answer())


async def speaks_no_http(it: Conversation) -> None:
    """Be another service altogether, which says so first."""
    it.writer.write(b"SSH-2.0-OpenSSH_9.2\r\n")
    await it.request()


async def sends_endless_headers(it: Conversation) -> None:
    """Never come to the end of the headers."""
    await it.request()
    it.writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        it.writer.write(b"x-more: %s\r\n" % (b"x" * 4000))
        await it.writer.drain()


async def contradicts_itself(it: Conversation) -> None:
    """Give two lengths, as in response splitting (RFC 9112 section 6.3)."""
    head, _, body = (await it.answer()).partition(HEAD_END)
    it.writer.write(head + b"\r\ncontent-length: 5" + HEAD_END + body)
    await it.writer.drain()


async def resets_in_body(it: Conversation) -> None:
    """Break in the middle of the body."""
    head, _, body = (await it.answer()).partition(HEAD_END)
    it.writer.write(head + HEAD_END + body[:40])
    await it.writer.drain()
    # Long enough for the head to be read: a reset takes what is not read yet with it.
    await asyncio.sleep(0.1)
    it.reset()


async def closes_in_body(it: Conversation) -> None:
    """Hang up in the middle of the body."""
    head, _, body = (await it.answer()).partition(HEAD_END)
    it.writer.write(head + HEAD_END + body[:40])
    await it.writer.drain()


async def breaks_off_chunks(it: Conversation) -> None:
    """Send a chunk, then what is none, and stay connected."""
    await it.answer()
    it.writer.write(b'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n6\r\n{"data\r\n')
    await it.writer.drain()
    await asyncio.sleep(0.1)  # So that it does not come with the head.
    it.writer.write(b"no length\r\n")
    await it.request()


async def drips_body(it: Conversation) -> None:
    """Send the body byte by byte."""
    head, _, body = (await it.answer()).partition(HEAD_END)
    it.writer.write(head + HEAD_END)
    await it.drip(body)


def answers_twice(now: asyncio.Event) -> Fault:
    """Return a fault that says the first answer once more, unasked, and then passes everything on.

    Args:
        now: when it is to be said; what waits a moment longer than that has it.
    """

    async def fault(it: Conversation) -> None:
        answer = await it.answer()
        it.writer.write(answer)
        await now.wait()
        it.writer.write(answer)
        await no_fault(it)

    return fault


def keeps_back(until: asyncio.Event) -> Fault:
    """Return a fault that passes everything on, and no answer before the event is set."""

    async def fault(it: Conversation) -> None:
        while True:
            answer = await it.answer()
            await until.wait()
            it.writer.write(answer)

    return fault


def once_good(then: Fault) -> Fault:
    """Return a fault that comes with the second request on a connection that was kept alive."""

    async def fault(it: Conversation) -> None:
        it.writer.write(await it.answer())
        await then(it)

    return fault


class FaultProxy:
    """Stands between the service and the emulator.

    Attributes:
        url: where it is.
        coming: the faults of the next connections; whatever comes after them is as `lasting`.
        lasting: the fault of every other connection.
        connections: how many were made.
        requests: how many whole requests came, on any of them.
    """

    def __init__(self, upstream_url: str) -> None:
        upstream = urlsplit(upstream_url)
        self._upstream = (upstream.hostname or "", upstream.port or 80)
        self._open: set[asyncio.Task[None]] = set()
        self.url = ""
        self.coming: list[Fault] = []
        self.lasting: Fault = no_fault
        self.connections = 0
        self.requests = 0

    @property
    def open(self) -> int:
        """How many connections there are just now."""
        return len(self._open)

    @asynccontextmanager
    async def serve(
        self, tls: ssl.SSLContext | None = None, *, port: int = 0
    ) -> AsyncIterator["FaultProxy"]:
        """Serve on loopback for as long as the context lasts, in the loop that is running."""
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
        fault = self.coming.pop(0) if self.coming else self.lasting
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            await fault(Conversation(reader, writer, self._upstream, self._count))
        except (OSError, EOFError, asyncio.CancelledError):
            pass  # The service hung up, or the test is over.
        finally:
            self._open.discard(task)
            writer.close()

    def _count(self) -> None:
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
    """Listen, with the queue of connections full; yields the URL, to which no connection is made.

    That is what a host behind a firewall that drops everything looks like.
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
