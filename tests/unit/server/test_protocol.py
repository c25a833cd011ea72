"""The timeouts and limits of a connection, and its cleanup."""

import asyncio
import gc
import weakref
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from app.common.http_limits import MAX_HEAD_BYTES
from app.server.protocol import MAX_PIPELINED, BoundedProtocol
from app.state import Shutdown
from tests.support.clock import ControlledLoop, controlled

POST = b"POST / HTTP/1.1\r\nHost: service\r\nContent-Length: 0\r\n\r\n"
GET = b"GET / HTTP/1.1\r\nHost: service\r\n\r\n"
PUT = POST.replace(b"POST", b"PUT")
CHUNKED = b"POST / HTTP/1.1\r\nHost: service\r\nTransfer-Encoding: chunked\r\n\r\n"
SECONDS, KEEP_ALIVE_SECONDS, MAX_BODY_BYTES = 10.0, 75, 100


class Wire(asyncio.Transport):
    """A transport that records how the server uses it."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.unsent = 0
        self.reading = True
        self.closed = self.aborted = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Record the data."""
        self.written += data

    def get_write_buffer_size(self) -> int:
        """Return the number of bytes that the client has not read."""
        return self.unsent

    def is_closing(self) -> bool:
        """Return whether the connection was closed."""
        return self.closed

    def close(self) -> None:
        """Close after the client has read all data."""
        self.closed = True

    def abort(self) -> None:
        """Close at once."""
        self.closed = self.aborted = True

    def pause_reading(self) -> None:
        """Stop reading."""
        self.reading = False

    def resume_reading(self) -> None:
        """Resume reading."""
        self.reading = True

    @property
    def statuses(self) -> list[int]:
        """The statuses of the responses that were written."""
        return [int(part[:3]) for part in self.written.split(b"HTTP/1.1 ")[1:]]


class Application:
    """Responds to GET at once, and to PUT and POST when the test allows it.

    A disconnect ends a POST.

    Attributes:
        may_respond: set this to allow the responses to PUT and POST.
        disconnected: the paths of the POST requests whose clients have disconnected.
    """

    def __init__(self) -> None:
        self.may_respond = asyncio.Event()
        self.disconnected: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Process a request."""
        if scope["method"] == "POST":
            watching = asyncio.ensure_future(self._watch(receive))
            responding = asyncio.ensure_future(self.may_respond.wait())
            done, rest = await asyncio.wait(
                {watching, responding}, return_when=asyncio.FIRST_COMPLETED
            )
            for task in rest:
                task.cancel()
            if watching in done:
                self.disconnected.append(scope["path"])
                return
        elif scope["method"] == "PUT":
            await self.may_respond.wait()
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    async def _watch(self, receive: Any) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass


class Connection:
    """A connection to an application."""

    def __init__(self) -> None:
        self.wire, self.app, self.shutdown = Wire(), Application(), Shutdown()
        config = uvicorn.Config(
            self.app,
            lifespan="off",
            log_config=None,
            interface="asgi3",
            proxy_headers=False,
            ws="none",
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
        )
        config.load()
        rejection = b"content-length: 0\r\n\r\n"
        self.protocol = BoundedProtocol(
            config=config,
            server_state=ServerState(),
            app_state={},
            seconds=SECONDS,
            max_body_bytes=lambda _: MAX_BODY_BYTES,
            rejections={400: rejection, 408: rejection, 431: rejection},
            shutdown=self.shutdown,
        )
        self.protocol.connection_made(self.wire)

    def send(self, *parts: bytes) -> None:
        """Pass the data of the client to the protocol, one read after the other."""
        for data in parts:
            self.protocol.data_received(data)


@pytest.fixture
def _without_garbage_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("_without_garbage_collector")
@pytest.mark.parametrize("error", [None, ConnectionResetError()], ids=["closed", "reset"])
@pytest.mark.parametrize(
    ("received", "responses"),
    [
        ([], []),
        ([GET], [204]),
        ([POST], []),
        ([POST, POST], []),
        ([POST, GET, GET], []),
        ([GET, POST[:20]], [204]),
        ([GET, b"\r\n"], [204]),
        ([b"no HTTP\r\n\r\n"], [400]),
    ],
    ids=["nothing", "served", "waiting", "two", "three", "incomplete", "empty line", "rejected"],
)
async def test_a_closed_connection_is_freed_at_once(
    received: list[bytes], responses: list[int], error: Exception | None
) -> None:
    """No reference keeps it in memory until the garbage collector runs or a timer expires."""
    connection = Connection()
    for data in received:
        connection.send(data)
        await asyncio.sleep(0)
    statuses = connection.wire.statuses
    connection.protocol.connection_lost(error)
    reference = weakref.ref(connection.protocol)
    del connection
    for _ in range(5):
        await asyncio.sleep(0)

    assert statuses == responses
    assert reference() is None


async def test_the_request_in_progress_receives_a_disconnect() -> None:
    """A pipelined request after it does not start."""
    connection = Connection()
    connection.send(POST.replace(b" / ", b" /first "), POST.replace(b" / ", b" /second "))
    await asyncio.sleep(0)
    connection.protocol.connection_lost(None)
    for _ in range(5):
        await asyncio.sleep(0)

    assert connection.app.disconnected == ["/first"]


@controlled
async def test_a_connection_without_a_request_is_closed(loop: ControlledLoop) -> None:
    """The server sends no response."""
    connection = Connection()
    await loop.advance(SECONDS - 1)
    assert not connection.wire.closed
    await loop.advance(1)

    assert (connection.wire.closed, connection.wire.written) == (True, b"")


@controlled
async def test_a_head_that_does_not_end_in_time_is_rejected(loop: ControlledLoop) -> None:
    """The time starts with the first byte of the head, and later bytes do not extend it."""
    connection = Connection()
    connection.send(GET)
    await loop.advance(SECONDS + 3)
    connection.send(GET[:5])
    for byte in GET[5:14]:
        await loop.advance(SECONDS / 10)
        connection.send(bytes([byte]))
    assert connection.wire.statuses == [204]
    await loop.advance(SECONDS / 10)

    assert connection.wire.statuses == [204, 408]
    assert connection.wire.closed


@controlled
async def test_a_body_that_does_not_end_in_time_closes_its_connection(loop: ControlledLoop) -> None:
    """The application detects it when it reads the body, so the server sends no response."""
    connection = Connection()
    connection.send(POST.replace(b"Length: 0", b"Length: 9"), b"{")
    await loop.advance(SECONDS)

    assert (connection.wire.closed, connection.wire.written) == (True, b"")


@controlled
async def test_an_idle_connection_is_kept_as_long_as_configured(loop: ControlledLoop) -> None:
    """An empty line or the rest of an unread body restarts the time."""
    idle, empty_line, rest = Connection(), Connection(), Connection()
    idle.send(GET)
    empty_line.send(GET)
    rest.send(GET.replace(b"\r\n\r\n", b"\r\nContent-Length: 5\r\n\r\n"))
    await loop.advance(0)
    await loop.advance(1)
    empty_line.send(b"\r\n")
    rest.send(b"12345")
    await loop.advance(KEEP_ALIVE_SECONDS - 1)
    assert [one.wire.closed for one in (idle, empty_line, rest)] == [True, False, False]
    await loop.advance(1)

    assert empty_line.wire.closed
    assert rest.wire.closed


@controlled
async def test_the_time_limit_does_not_apply_while_reading_is_paused(loop: ControlledLoop) -> None:
    """Reading is paused during a slow request, so the client cannot complete the next one."""
    connection = Connection()
    connection.send(PUT + GET + GET[:20])
    assert not connection.wire.reading
    await loop.advance(2 * SECONDS)
    connection.app.may_respond.set()
    await loop.advance(0)
    connection.send(GET[20:])
    await loop.advance(0)

    assert connection.wire.statuses == [204, 204, 204]


@pytest.mark.parametrize("state", ["serving", "rejected", "shutting down", "idle"])
@controlled
async def test_an_unread_response_closes_its_connection(loop: ControlledLoop, state: str) -> None:
    """This applies whether or not the server closes the connection after the response."""
    connection = Connection()
    connection.send(b"no HTTP\r\n\r\n" if state == "rejected" else GET)
    await loop.advance(0)
    connection.wire.unsent = 1
    if state == "shutting down":
        connection.protocol.shutdown()
    elif state == "idle":
        connection.protocol.timeout_keep_alive_handler()
    await loop.advance(SECONDS)
    assert not connection.wire.aborted
    await loop.advance(SECONDS)

    assert connection.wire.aborted


@controlled
async def test_a_slow_reader_is_not_disconnected(loop: ControlledLoop) -> None:
    """The client reads all data within the time limit."""
    connection = Connection()
    connection.send(GET)
    for unsent in (1, 0, 1, 0):
        connection.wire.unsent = unsent
        await loop.advance(SECONDS)

    assert not connection.wire.closed


@pytest.mark.parametrize(
    "endless",
    [
        [b"GET / HTTP/1.1\r\nX: ", *[b"a" * 8192] * 9],
        [CHUNKED + b"0\r\nX: ", *[b"a" * 8192] * 9],
        [CHUNKED + b"0\r\n", *[b"X: y\r\n" * 1024] * 9],
        [b"\r\n" * 4096] * 9,
    ],
    ids=["header", "trailer", "trailers", "empty lines"],
)
async def test_endless_heads_and_trailers_are_rejected(endless: list[bytes]) -> None:
    """The parser would keep a header or a trailer in memory until it is complete."""
    connection = Connection()
    received = 0
    for data in endless:
        if connection.wire.closed:
            break
        connection.send(data)
        received += len(data)

    assert connection.wire.statuses == [431]
    assert received < 2 * MAX_HEAD_BYTES


@pytest.mark.parametrize("chunked", [True, False])
async def test_a_long_body_is_not_mistaken_for_a_head(chunked: bool) -> None:
    """The limit on heads and trailers starts again after each part of a body."""
    connection = Connection()
    parts = [b"2000\r\n" + b"a" * 8192 + b"\r\n"] * 20 if chunked else [b"a" * 8192] * 20
    length = b"Content-Length: %d" % (8192 * 20)
    head = CHUNKED if chunked else POST.replace(b"Content-Length: 0", length)
    connection.send(head, *parts)

    assert not connection.wire.closed


async def test_at_most_one_byte_above_the_body_limit_is_kept() -> None:
    """This holds for any amount of data that arrives before the application reads it."""
    connection = Connection()
    connection.send(PUT.replace(b"Content-Length: 0", b"Content-Length: 9999"), b"a" * 90)
    assert len(connection.protocol.cycle.body) == 90
    connection.send(b"a" * 90, b"a" * 9000)

    assert len(connection.protocol.cycle.body) == MAX_BODY_BYTES + 1


async def test_the_limit_of_a_body_depends_on_the_path() -> None:
    """The query has no effect, and the next request on the connection has its own limit."""
    connection = Connection()
    connection.protocol._max_body_bytes_at = {"/": 5, "/long": 50}.__getitem__
    long = CHUNKED.replace(b"POST / ", b"POST /%6cong?x=/ ")
    connection.send(long, b"64\r\n" + b"x" * 100 + b"\r\n")
    assert len(connection.protocol.cycle.body) == 51
    connection.send(b"0\r\n\r\n", CHUNKED, b"64\r\n" + b"x" * 100 + b"\r\n")
    assert len(connection.protocol.cycle.body) == 6


async def test_trailers_are_discarded() -> None:
    """The headers do not change after the application has received them."""
    connection = Connection()
    connection.send(CHUNKED)
    headers = list(connection.protocol.scope["headers"])
    connection.send(b"0\r\nAuthorization: Bearer token\r\n\r\n")

    assert connection.protocol.scope["headers"] == headers
    assert not connection.wire.closed


async def test_the_number_of_pipelined_requests_is_limited() -> None:
    """A client that sends more is disconnected, and gets no response out of order."""
    connection = Connection()
    connection.send(POST, GET * MAX_PIPELINED)
    assert not connection.wire.closed
    connection.send(GET)

    assert (connection.wire.closed, connection.wire.written) == (True, b"")


async def test_malformed_http_gets_a_response_only_if_no_other_is_due() -> None:
    """Otherwise, the client would read it as the response to an earlier request."""
    body, next_head, answered = Connection(), Connection(), Connection()
    body.send(CHUNKED, b"no number\r\n")
    next_head.send(POST, b"no HTTP\r\n\r\n")
    answered.send(CHUNKED.replace(b"POST", b"GET"))
    await asyncio.sleep(0)
    answered.send(b"no number\r\n")

    assert (body.wire.statuses, body.wire.closed) == ([400], True)
    assert (next_head.wire.statuses, next_head.wire.closed) == ([], True)
    assert (answered.wire.statuses, answered.wire.closed) == ([204], True)


@controlled
async def test_at_shutdown_an_idle_connection_stays_open_for_a_moment(loop: ControlledLoop) -> None:
    """A request that is on its way is served, and its response closes the connection."""
    unused, used = Connection(), Connection()
    for connection in (unused, used):
        connection.send(GET)
        await loop.advance(0)
        connection.shutdown.begun = True
        connection.protocol.shutdown()
    used.send(GET)
    await loop.advance(0)
    assert not unused.wire.closed
    assert used.wire.statuses == [204, 204]
    assert b"connection: close" in used.wire.written
    assert used.wire.closed
    await loop.advance(1)

    assert unused.wire.closed


@controlled
async def test_at_shutdown_only_the_request_in_progress_is_served(loop: ControlledLoop) -> None:
    """A pipelined request is not started, and `connection: close` informs the client."""
    connection = Connection()
    connection.send(POST + GET)
    connection.app.may_respond.set()
    connection.shutdown.begun = True
    connection.protocol.shutdown()
    await loop.advance(0)

    assert connection.wire.statuses == [204]
    assert b"connection: close" in connection.wire.written
    assert connection.wire.closed


def test_uvicorn_accepts_a_partial() -> None:
    """The annotation requires a class, but uvicorn only calls it."""
    config = uvicorn.Config(None, http=partial(BoundedProtocol))  # type: ignore[arg-type]
    config.load()

    assert isinstance(config.http_protocol_class, partial)


@pytest.mark.parametrize("length", [b"Content-Length: 5", b"Transfer-Encoding: chunked"])
async def test_a_body_behind_an_upgrade_is_rejected_before_it_arrives(length: bytes) -> None:
    """The parser would skip the body and read it as the next request."""
    connection = Connection()

    connection.send(GET[:-2] + b"Connection: Upgrade\r\nUpgrade: h2c\r\n" + length + b"\r\n\r\n")
    await asyncio.sleep(0)

    assert connection.wire.statuses == [400]
    assert connection.wire.closed


async def test_an_upgrade_without_a_body_is_ignored() -> None:
    """The response closes the connection, because the parser loses what follows the request."""
    connection = Connection()

    connection.send(GET[:-2] + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n" + GET)
    await asyncio.sleep(0)

    assert connection.wire.statuses == [204]
    assert connection.wire.closed
