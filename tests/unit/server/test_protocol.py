"""What a connection waits for, for how long, and what is left of it afterwards."""

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
    """A transport that records what is done with it."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.unsent = 0
        self.reading = True
        self.closed = self.aborted = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Take what is written."""
        self.written += data

    def get_write_buffer_size(self) -> int:
        """Return how much of it the client has not read."""
        return self.unsent

    def is_closing(self) -> bool:
        """Return whether it was closed."""
        return self.closed

    def close(self) -> None:
        """Close after what was written is read."""
        self.closed = True

    def abort(self) -> None:
        """Close at once."""
        self.closed = self.aborted = True

    def pause_reading(self) -> None:
        """Read no more."""
        self.reading = False

    def resume_reading(self) -> None:
        """Read again."""
        self.reading = True

    @property
    def statuses(self) -> list[int]:
        """The statuses of the responses that were written."""
        return [int(part[:3]) for part in self.written.split(b"HTTP/1.1 ")[1:]]


class Application:
    """Responds to GET at once; to PUT when it may; to POST when it may, unless the client leaves.

    Attributes:
        may_respond: is set when it may.
        disconnected: the paths of the requests whose clients left.
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
    """One connection to such an application."""

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

    def sends(self, *parts: bytes) -> None:
        """Hand over what the client sends, one read after the other."""
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
    ids=["nothing", "served", "waiting", "in a row", "three in a row", "half", "idle", "rejected"],
)
async def test_a_connection_that_ends_is_gone_at_once(
    received: list[bytes], responses: list[int], error: Exception | None
) -> None:
    """Nothing keeps it until the garbage collector runs, or until a timer goes off."""
    connection = Connection()
    for data in received:
        connection.sends(data)
        await asyncio.sleep(0)
    statuses = connection.wire.statuses
    connection.protocol.connection_lost(error)
    gone = weakref.ref(connection.protocol)
    del connection
    for _ in range(5):
        await asyncio.sleep(0)

    assert statuses == responses
    assert gone() is None


async def test_the_request_in_progress_receives_a_disconnect() -> None:
    """Also when another one has arrived behind it; that one never begins."""
    connection = Connection()
    connection.sends(POST.replace(b" / ", b" /first "), POST.replace(b" / ", b" /second "))
    await asyncio.sleep(0)
    connection.protocol.connection_lost(None)
    for _ in range(5):
        await asyncio.sleep(0)

    assert connection.app.disconnected == ["/first"]


@controlled
async def test_a_connection_without_a_request_is_closed(loop: ControlledLoop) -> None:
    """There is nothing to respond to."""
    connection = Connection()
    await loop.advance(SECONDS - 1)
    assert not connection.wire.closed
    await loop.advance(1)

    assert (connection.wire.closed, connection.wire.written) == (True, b"")


@controlled
async def test_a_head_that_does_not_end_in_time_is_rejected(loop: ControlledLoop) -> None:
    """The time is that from its first byte, however many follow."""
    connection = Connection()
    connection.sends(GET)
    await loop.advance(SECONDS + 3)
    connection.sends(GET[:5])
    for byte in GET[5:14]:
        await loop.advance(SECONDS / 10)
        connection.sends(bytes([byte]))
    assert connection.wire.statuses == [204]
    await loop.advance(SECONDS / 10)

    assert connection.wire.statuses == [204, 408]
    assert connection.wire.closed


@controlled
async def test_a_body_that_does_not_end_in_time_ends_its_connection(loop: ControlledLoop) -> None:
    """The application notices when it reads the body, so there is no second response."""
    connection = Connection()
    connection.sends(POST.replace(b"Length: 0", b"Length: 9"), b"{")
    await loop.advance(SECONDS)

    assert (connection.wire.closed, connection.wire.written) == (True, b"")


@controlled
async def test_an_idle_connection_is_kept_as_long_as_configured(loop: ControlledLoop) -> None:
    """An empty line on it, or the rest of an unread body, does not keep it longer."""
    idle, empty_line, rest = Connection(), Connection(), Connection()
    idle.sends(GET)
    empty_line.sends(GET)
    rest.sends(GET.replace(b"\r\n\r\n", b"\r\nContent-Length: 5\r\n\r\n"))
    await loop.advance(0)
    await loop.advance(1)
    empty_line.sends(b"\r\n")
    rest.sends(b"12345")
    await loop.advance(KEEP_ALIVE_SECONDS - 1)
    assert [one.wire.closed for one in (idle, empty_line, rest)] == [True, False, False]
    await loop.advance(1)

    assert empty_line.wire.closed
    assert rest.wire.closed


@controlled
async def test_time_in_which_the_server_does_not_read_does_not_count(loop: ControlledLoop) -> None:
    """Behind a slow request, reading is paused: the client cannot finish what it sends."""
    connection = Connection()
    connection.sends(PUT + GET + GET[:20])
    assert not connection.wire.reading
    await loop.advance(2 * SECONDS)
    connection.app.may_respond.set()
    await loop.advance(0)
    connection.sends(GET[20:])
    await loop.advance(0)

    assert connection.wire.statuses == [204, 204, 204]


@pytest.mark.parametrize("state", ["serving", "rejected", "shutting down", "idle"])
@controlled
async def test_a_response_that_is_not_read_ends_its_connection(
    loop: ControlledLoop, state: str
) -> None:
    """Whether more is to follow, or the connection is to be closed after it."""
    connection = Connection()
    connection.sends(b"no HTTP\r\n\r\n" if state == "rejected" else GET)
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
    """As long as it reads everything within the time."""
    connection = Connection()
    connection.sends(GET)
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
async def test_what_has_no_end_is_rejected(endless: list[bytes]) -> None:
    """The parser would keep a header, or a trailer, until it is complete."""
    connection = Connection()
    received = 0
    for data in endless:
        if connection.wire.closed:
            break
        connection.sends(data)
        received += len(data)

    assert connection.wire.statuses == [431]
    assert received < 2 * MAX_HEAD_BYTES


@pytest.mark.parametrize("chunked", [True, False])
async def test_a_long_body_is_not_mistaken_for_a_head(chunked: bool) -> None:
    """The bound on heads and trailers starts again after each part of a body."""
    connection = Connection()
    parts = [b"2000\r\n" + b"a" * 8192 + b"\r\n"] * 20 if chunked else [b"a" * 8192] * 20
    length = b"Content-Length: %d" % (8192 * 20)
    head = CHUNKED if chunked else POST.replace(b"Content-Length: 0", length)
    connection.sends(head, *parts)

    assert not connection.wire.closed


async def test_no_more_of_a_body_is_kept_than_shows_that_it_is_too_long() -> None:
    """However much arrives before the application reads it."""
    connection = Connection()
    connection.sends(PUT.replace(b"Content-Length: 0", b"Content-Length: 9999"), b"a" * 90)
    assert len(connection.protocol.cycle.body) == 90
    connection.sends(b"a" * 90, b"a" * 9000)

    assert len(connection.protocol.cycle.body) == MAX_BODY_BYTES + 1


async def test_how_much_of_a_body_is_kept_depends_on_the_path() -> None:
    """The query does not count, and the next request on the connection has its own limit."""
    connection = Connection()
    connection.protocol._max_body_bytes_at = {"/": 5, "/long": 50}.__getitem__
    long = CHUNKED.replace(b"POST / ", b"POST /%6cong?x=/ ")
    connection.sends(long, b"64\r\n" + b"x" * 100 + b"\r\n")
    assert len(connection.protocol.cycle.body) == 51
    connection.sends(b"0\r\n\r\n", CHUNKED, b"64\r\n" + b"x" * 100 + b"\r\n")
    assert len(connection.protocol.cycle.body) == 6


async def test_trailers_are_discarded() -> None:
    """The headers that the application sees do not change after it has them."""
    connection = Connection()
    connection.sends(CHUNKED)
    headers = list(connection.protocol.scope["headers"])
    connection.sends(b"0\r\nAuthorization: Bearer token\r\n\r\n")

    assert connection.protocol.scope["headers"] == headers
    assert not connection.wire.closed


async def test_a_bounded_number_of_requests_waits_behind_another() -> None:
    """A client that sends more is disconnected, and gets no response out of order."""
    connection = Connection()
    connection.sends(POST, GET * MAX_PIPELINED)
    assert not connection.wire.closed
    connection.sends(GET)

    assert (connection.wire.closed, connection.wire.written) == (True, b"")


async def test_malformed_http_gets_a_response_only_if_none_is_due() -> None:
    """Otherwise the client would take it for the response to an earlier request."""
    body, next_head, answered = Connection(), Connection(), Connection()
    body.sends(CHUNKED, b"no number\r\n")
    next_head.sends(POST, b"no HTTP\r\n\r\n")
    answered.sends(CHUNKED.replace(b"POST", b"GET"))
    await asyncio.sleep(0)
    answered.sends(b"no number\r\n")

    assert (body.wire.statuses, body.wire.closed) == ([400], True)
    assert (next_head.wire.statuses, next_head.wire.closed) == ([], True)
    assert (answered.wire.statuses, answered.wire.closed) == ([204], True)


@controlled
async def test_at_shutdown_an_idle_connection_stays_for_a_moment(loop: ControlledLoop) -> None:
    """A request that is on its way is served; its response ends the connection."""
    unused, used = Connection(), Connection()
    for connection in (unused, used):
        connection.sends(GET)
        await loop.advance(0)
        connection.shutdown.begun = True
        connection.protocol.shutdown()
    used.sends(GET)
    await loop.advance(0)
    assert not unused.wire.closed
    assert used.wire.statuses == [204, 204]
    assert b"connection: close" in used.wire.written
    assert used.wire.closed
    await loop.advance(1)

    assert unused.wire.closed


@controlled
async def test_at_shutdown_only_the_request_in_progress_is_served(loop: ControlledLoop) -> None:
    """One behind it might begin when nothing is left to serve it; HTTP tells the client so."""
    connection = Connection()
    connection.sends(POST + GET)
    connection.app.may_respond.set()
    connection.shutdown.begun = True
    connection.protocol.shutdown()
    await loop.advance(0)

    assert connection.wire.statuses == [204]
    assert b"connection: close" in connection.wire.written
    assert connection.wire.closed


def test_uvicorn_accepts_a_partial() -> None:
    """Its annotation wants a class; it only calls it."""
    config = uvicorn.Config(None, http=partial(BoundedProtocol))  # type: ignore[arg-type]
    config.load()

    assert isinstance(config.http_protocol_class, partial)


@pytest.mark.parametrize("length", [b"Content-Length: 5", b"Transfer-Encoding: chunked"])
async def test_a_body_behind_an_upgrade_is_rejected_before_it_arrives(length: bytes) -> None:
    """The parser would skip the body and read it as the next request."""
    connection = Connection()

    connection.sends(GET[:-2] + b"Connection: Upgrade\r\nUpgrade: h2c\r\n" + length + b"\r\n\r\n")
    await asyncio.sleep(0)

    assert connection.wire.statuses == [400]
    assert connection.wire.closed


async def test_an_upgrade_without_a_body_is_ignored() -> None:
    """The response closes the connection, because the parser loses what follows the request."""
    connection = Connection()

    connection.sends(GET[:-2] + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n" + GET)
    await asyncio.sleep(0)

    assert connection.wire.statuses == [204]
    assert connection.wire.closed
