"""What a connection leaves behind, and for how long it is heard; its transport is the test's."""

import asyncio
import gc
import weakref
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from app.bounded_http import _UNREAD_SECONDS, BoundedProtocol, bounded
from app.crowded_http import Answer
from app.errors import VaultBffError
from app.limits.gate import Gate
from app.observability.metrics import Metrics
from app.settings import LimitSettings
from app.state import Shutdown

POST = b"POST / HTTP/1.1\r\nHost: service\r\nContent-Length: 0\r\n\r\n"
GET = b"GET / HTTP/1.1\r\nHost: service\r\n\r\n"
SECONDS = 0.02


class Wire(asyncio.Transport):
    """A transport that notes what becomes of it."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.unsent = 0
        self.closed = self.aborted = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Take what is written."""
        self.written += data

    def get_write_buffer_size(self) -> int:
        """Return how much of it nobody has taken."""
        return self.unsent

    def is_closing(self) -> bool:
        """Tell whether it is to end."""
        return self.closed

    def close(self) -> None:
        """End."""
        self.closed = True

    def abort(self) -> None:
        """End at once."""
        self.closed = self.aborted = True

    def pause_reading(self) -> None:
        """Read no more."""

    def resume_reading(self) -> None:
        """Read on."""


class Door:
    """Holds every POST."""

    def guards(self, scope: Mapping[str, Any]) -> bool:
        """Tell whether it is one."""
        return bool(scope["method"] == "POST")

    def answer(self, _: Mapping[str, Any], __: VaultBffError) -> Answer:
        """Return a refusal."""
        return 503, b"content-length: 0\r\n", b""

    def note_gone(self, _: Mapping[str, Any]) -> None:
        """Take no note."""


async def application(_: Any, __: Any, send: Any) -> None:
    """Answer at once."""
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})


def connected(max_waiting: int = 9) -> tuple[BoundedProtocol, Wire]:
    """Return a connection to a service all of whose places are taken, and its transport."""
    kind = bounded(SECONDS, 100, lambda status: (status, b"content-length: 0\r\n", b""), Door())
    config = uvicorn.Config(
        application, lifespan="off", log_config=None, interface="asgi3", proxy_headers=False
    )
    config.load()
    gate = Gate(LimitSettings(max_in_flight=1, max_waiting=max_waiting), Metrics())
    gate._inside = 1
    app_state = {"gate": gate, "shutdown": Shutdown()}
    protocol = kind(config=config, server_state=ServerState(), app_state=app_state)
    wire = Wire()
    protocol.connection_made(wire)
    return protocol, wire


@pytest.fixture
def _without_a_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("_without_a_collector")
@pytest.mark.parametrize("error", [None, ConnectionResetError()], ids=["closed", "reset"])
@pytest.mark.parametrize(
    ("received", "max_waiting", "answers"),
    [
        ([], 9, b""),
        ([GET], 9, b"204"),
        ([POST], 9, b""),
        ([POST], 0, b"503"),
        ([POST, POST], 9, b""),
        ([POST, GET], 0, b"503 204"),
        ([GET, POST[:20]], 9, b"204"),
    ],
    ids=["nothing", "served", "waiting", "refused", "in a row", "served after", "half"],
)
async def test_a_connection_that_ends_is_gone_at_once(
    received: list[bytes], max_waiting: int, answers: bytes, error: Exception | None
) -> None:
    """Nothing keeps it until the garbage collector comes, or until a timer rings."""
    protocol, wire = connected(max_waiting)
    for data in received:
        protocol.data_received(data)
    for _ in range(5):
        await asyncio.sleep(0)
    statuses = [part[:3] for part in wire.written.split(b"HTTP/1.1 ")[1:]]
    protocol.connection_lost(error)
    gone = weakref.ref(protocol)
    del protocol
    await asyncio.sleep(0)

    assert statuses == answers.split()
    assert gone() is None


async def becomes_aborted(wire: Wire) -> bool:
    """Wait for as long as an answer may lie, and longer; tell whether it was ended for that."""
    await asyncio.sleep(3 * SECONDS)
    return wire.aborted


async def test_what_nobody_takes_ends_its_connection() -> None:
    """Whether more is to be written, or it was to end with that."""
    paused, wire = connected()
    wire.unsent = 70_000
    paused.pause_writing()
    assert await becomes_aborted(wire)

    refused, wire = connected()
    wire.unsent = 1
    refused.data_received(b"no HTTP\r\n\r\n")
    assert (wire.closed, wire.aborted) == (True, False)
    assert await becomes_aborted(wire)

    ending, wire = connected()
    ending.data_received(GET)
    await asyncio.sleep(0)
    wire.unsent = 1
    ending.shutdown()
    assert not wire.closed
    await asyncio.sleep(_UNREAD_SECONDS)
    assert await becomes_aborted(wire)
    assert wire.closed

    idle, wire = connected()
    wire.unsent = 1
    idle.timeout_keep_alive_handler()
    assert await becomes_aborted(wire)

    last, wire = connected()
    last.data_received(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    wire.unsent = 1
    assert await becomes_aborted(wire)


async def test_what_is_taken_in_time_ends_nothing() -> None:
    """A slow reader is no deaf one."""
    protocol, wire = connected()
    protocol.data_received(POST)
    wire.unsent = 70_000
    protocol.pause_writing()
    wire.unsent = 0
    protocol.resume_writing()

    assert not await becomes_aborted(wire)
