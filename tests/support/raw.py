"""HTTP over raw sockets: requests that no client library sends, and responses byte for byte.

The functions block, for tests that send a few unusual bytes. `Client` is for many concurrent
requests; it uses so little CPU that it is not the bottleneck.
"""

import asyncio
import json
import socket
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Literal, Self

TIMEOUT_SECONDS: Final = 20.0
"""How long a client waits for a connection and a response."""


def request(
    method: str, path: str, token: str | None = None, *, headers: Iterable[str] = ()
) -> bytes:
    """Return a request without a body, as it is sent."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", "Content-Length: 0", *headers]
    if token is not None:
        lines.append(f"Authorization: Bearer {token}")
    return "\r\n".join([*lines, "", ""]).encode()


@dataclass(frozen=True)
class Received:
    """What a client received until its connection was closed or no more data arrived.

    Attributes:
        data: every byte.
        closed: whether the server closed the connection.
    """

    data: bytes
    closed: bool

    @property
    def statuses(self) -> list[int]:
        """The status of each response."""
        return [int(part[:3]) for part in self.data.split(b"HTTP/1.1 ")[1:]]

    @property
    def headers(self) -> dict[str, str]:
        """The headers of the first response, with their names in lower case."""
        return _headers(self.data.partition(b"\r\n\r\n")[0])

    @property
    def json(self) -> Any:
        """The body of the only response."""
        return json.loads(self.data.partition(b"\r\n\r\n")[2])


def connect(
    port: int, timeout: float = 5.0, *, receive_buffer_bytes: int | None = None
) -> socket.socket:
    """Open a connection to a port on loopback.

    Args:
        port: the port.
        timeout: seconds after which an operation on the connection fails.
        receive_buffer_bytes: how many bytes the system buffers until the client reads them.
    """
    connection = socket.socket()
    if receive_buffer_bytes is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
    connection.settimeout(timeout)
    try:
        connection.connect(("127.0.0.1", port))
    except OSError:
        connection.close()
        raise
    return connection


def received(connection: socket.socket, quiet_seconds: float = 0.3) -> Received:
    """Return what arrives until the connection is closed, or is idle for `quiet_seconds`."""
    data = b""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        connection.settimeout(quiet_seconds if data else deadline - time.monotonic())
        try:
            part = connection.recv(65536)
        except TimeoutError:
            return Received(data, closed=False)
        except ConnectionError:
            return Received(data, closed=True)
        if not part:
            return Received(data, closed=True)
        data += part
    return Received(data, closed=False)


def exchange(port: int, *parts: bytes) -> Received:
    """Send these bytes on a new connection, and return what arrives."""
    with connect(port) as connection:
        try:
            connection.sendall(b"".join(parts))
        except ConnectionError:
            return Received(b"", closed=True)
        return received(connection)


Outcome = Literal["responded", "refused", "broken", "timed out"]
"""How a request ended: with a complete response, because no connection could be opened, because
the connection was closed before a complete response, or because of the timeout."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request, and how it ended.

    Attributes:
        started_at: when it started, before its connection was opened, by `time.monotonic`.
        ended_at: when it ended.
        outcome: how it ended.
        status: the status of the response; 0 if there is none.
        headers: the headers of the response, with their names in lower case.
        body: the body of the response.
    """

    started_at: float
    ended_at: float
    outcome: Outcome
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.ended_at - self.started_at


class Client:
    """A client with one connection, which it opens on demand and keeps open."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.disconnect()

    def disconnect(self) -> None:
        """Close the connection."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None

    async def connect(self) -> asyncio.StreamReader:
        """Open the connection if it is not open; return its reader."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        return self._streams[0]

    async def is_disconnected(self) -> bool:
        """Return whether the server has closed the connection by now."""
        for _ in range(2):  # The event loop polls the socket, and then notifies the reader.
            await asyncio.sleep(0)
        return self._streams is not None and (
            self._streams[0].at_eof() or self._streams[0].exception() is not None
        )

    async def send(self, sent: bytes) -> Exchange:
        """Send a request, and wait until it ends."""
        started_at = time.monotonic()
        outcome: Outcome = "refused"
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                reader = await self.connect()
                outcome = "broken"
                status, headers, body = await self._exchange(reader, sent)
        except TimeoutError:
            outcome = "timed out"
        except (OSError, EOFError):
            pass
        else:
            if headers.get("connection") == "close":
                self.disconnect()
            return Exchange(started_at, time.monotonic(), "responded", status, headers, body)
        self.disconnect()
        return Exchange(started_at, time.monotonic(), outcome)

    async def _exchange(
        self, reader: asyncio.StreamReader, sent: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        assert self._streams is not None
        self._streams[1].write(sent)
        head = await reader.readuntil(b"\r\n\r\n")
        headers = _headers(head.removesuffix(b"\r\n\r\n"))
        body = await reader.readexactly(int(headers["content-length"]))
        return int(head.split()[1]), headers, body


async def send_once(port: int, sent: bytes) -> Exchange:
    """Send a request on a new connection."""
    async with Client(port) as client:
        return await client.send(sent)


def percentile(seconds: Iterable[float], share: float) -> float:
    """Return the percentile: the value that this share of all values does not exceed."""
    ordered = sorted(seconds)
    assert ordered
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def _headers(head: bytes) -> dict[str, str]:
    named = (line.partition(": ") for line in head.decode("latin-1").split("\r\n")[1:])
    return {name.lower(): value for name, _, value in named}
