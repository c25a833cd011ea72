"""A backend that receives events, over a real socket."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

Respond = Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True)
class Received:
    """One request, as it arrived.

    Attributes:
        line: the request line.
        headers: by lower-case name.
        body: every byte.
    """

    line: str
    headers: dict[str, str]
    body: bytes


@dataclass
class WebhookTarget:
    """The running backend.

    Attributes:
        url: where it receives events.
        respond: writes the response to each request.
        received: the requests so far, in order.
        connections: the number of connections that were opened.
    """

    respond: Respond
    url: str = ""
    received: list[Received] = field(default_factory=list)
    connections: int = 0
    _arrived: asyncio.Event = field(default_factory=asyncio.Event)

    async def wait_for_requests(self, count: int) -> None:
        """Wait until this many requests have arrived."""
        async with asyncio.timeout(10):
            while len(self.received) < count:
                self._arrived.clear()
                await self._arrived.wait()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection until the client closes it."""
        self.connections += 1
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                fields = [line.partition(":") for line in head[1:] if line]
                headers = {name.lower(): value.strip() for name, _, value in fields}
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                self.received.append(Received(head[0], headers, body))
                self._arrived.set()
                await self.respond(writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


def status(code: int, headers: str = "", body: bytes = b"") -> Respond:
    """Respond with a status, and with header lines, each of which ends in CRLF."""

    async def respond(writer: asyncio.StreamWriter) -> None:
        head = f"HTTP/1.1 {code} X\r\ncontent-length: {len(body)}\r\n{headers}\r\n"
        writer.write(head.encode() + body)
        await writer.drain()

    return respond


async def no_response(_: asyncio.StreamWriter) -> None:
    """Keep the connection open, and send nothing."""
    await asyncio.Event().wait()


async def hang_up(writer: asyncio.StreamWriter) -> None:
    """Close the connection instead of responding."""
    writer.close()


async def endless_body(writer: asyncio.StreamWriter) -> None:
    """Send a 200 whose body does not end."""
    writer.write(b"HTTP/1.1 200 X\r\ntransfer-encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
        await writer.drain()


@asynccontextmanager
async def webhook_target(respond: Respond) -> AsyncIterator[WebhookTarget]:
    """Run a backend on a free port of loopback."""
    target = WebhookTarget(respond)
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        with suppress(asyncio.CancelledError):
            await target.serve(reader, writer)

    server = await asyncio.start_server(serve, "127.0.0.1")
    target.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/webhooks"
    try:
        yield target
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks)
