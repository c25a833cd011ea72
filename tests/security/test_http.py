"""HTTP by hand against the real process: requests that two parsers read differently, or for ever.

Each ends in a 4xx, as a problem where HTTP still works, or in a closed connection; nothing is
minted for it beyond what its one credential may, and the process serves the next request.
"""

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from emulators.apideck import ApideckEmulator
from emulators.issuer import DevelopmentIssuer
from tests.support.http import problem
from tests.support.ports import free_ports
from tests.support.process import environment_for, serving, url
from tests.support.raw import Answered, connect, exchange, received

SECONDS = 1.0
POST = b"POST /vault-session HTTP/1.1\r\n"
HOST = b"Host: service\r\n"
JSON = b"Content-Type: application/json\r\n"
EMPTY = b"Content-Length: 0\r\n\r\n"
SMUGGLED = b"GET /problems HTTP/1.1\r\nHost: service\r\n\r\n"


@pytest.fixture(scope="module")
def _world() -> Iterator[tuple[DevelopmentIssuer, ApideckEmulator, dict[str, str]]]:
    issuer, apideck = DevelopmentIssuer(), ApideckEmulator()
    with issuer.serve(), apideck.serve() as apideck_url:
        environment = environment_for(issuer.issuer, apideck_url, free_ports())
        environment["SERVER__RECEIVE_TIMEOUT_SECONDS"] = str(SECONDS)
        environment["LOG__LEVEL"] = "error"
        environment["LIMITS__PER_USER"] = "unlimited"
        yield issuer, apideck, environment


@pytest.fixture(scope="module")
def _process(
    _world: tuple[DevelopmentIssuer, ApideckEmulator, dict[str, str]],
) -> Iterator["subprocess.Popen[str]"]:
    with serving(_world[2]) as process:
        yield process


class Service:
    """The running process, and whom it talks to."""

    def __init__(
        self,
        world: tuple[DevelopmentIssuer, ApideckEmulator, dict[str, str]],
        process: "subprocess.Popen[str]",
    ) -> None:
        issuer, self.apideck, self.environment = world
        self.process = process
        self.port = int(self.environment["SERVER__PORT"])
        self.credential = f"Authorization: Bearer {issuer.token()}\r\n".encode()

    def send(self, *parts: bytes) -> Answered:
        """Send the parts as one request and return what comes back."""
        return exchange(self.port, b"".join(parts))

    def memory(self) -> int:
        """Return the megabytes that the process holds."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * 4096 // 1_000_000


@pytest.fixture
def service(
    _world: tuple[DevelopmentIssuer, ApideckEmulator, dict[str, str]],
    _process: "subprocess.Popen[str]",
) -> Iterator[Service]:
    """Return the running service; whatever was done to it, it must serve the next request."""
    _world[1].reset()
    made = Service(_world, _process)
    yield made
    assert made.process.poll() is None
    _world[1].reset()
    answer = made.send(POST, HOST, made.credential, EMPTY)
    assert answer.statuses == [201]


def assert_refused(answer: Answered) -> None:
    """Make sure that an answer is one 4xx, which is a problem, or none; and the end."""
    assert answer.closed
    assert len(answer.statuses) <= 1
    assert all(400 <= status < 500 for status in answer.statuses)
    if answer.statuses:
        head, _, body = answer.data.partition(b"\r\n\r\n")
        assert b"application/problem+json" in head
        assert b"cache-control: no-store" in head
        assert json.loads(body)["status"] == answer.statuses[0]


MALFORMED: dict[str, bytes] = {
    "length and chunks (CL.TE, TE.CL)": b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"0\r\n\r\n",
    "two lengths (CL.CL)": b"Content-Length: 0\r\nContent-Length: 34\r\n\r\n",
    "two equal lengths in one header": b"Content-Length: 2, 2\r\n\r\n{}",
    "length with a sign": b"Content-Length: +2\r\n\r\n{}",
    "negative length": b"Content-Length: -1\r\n\r\n",
    "hexadecimal length": b"Content-Length: 0x2\r\n\r\n{}",
    "length beyond 64 bits": b"Content-Length: 99999999999999999999\r\n\r\n",
    "length with digits of another script": b"Content-Length: \xd9\xa2\r\n\r\n{}",
    "unknown transfer coding": b"Transfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "coding that only looks like chunked": b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "coding after chunked": b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    "coding behind a vertical tab": b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "space before the colon": b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "coding on a folded line": b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "line folding": b"X-Folded: a\r\n b\r\nContent-Length: 0\r\n\r\n",
    "bare line feed within a value": b"X-A: a\nContent-Length: 34\r\n\r\n",
    "bare carriage return": b"X-A: a\rContent-Length: 34\r\n\r\n",
    "NUL in a value": b"X-A: a\x00b\r\nContent-Length: 0\r\n\r\n",
    "NUL in a name": b"X\x00A: a\r\nContent-Length: 0\r\n\r\n",
    "empty name": b": a\r\nContent-Length: 0\r\n\r\n",
    "line without a colon": b"nothing\r\nContent-Length: 0\r\n\r\n",
    "chunk size beyond 64 bits": b"Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n{}\r\n",
    "chunk size with a sign": b"Transfer-Encoding: chunked\r\n\r\n+2\r\n{}\r\n0\r\n\r\n",
    "chunk size of nothing": b"Transfer-Encoding: chunked\r\n\r\n;a=b\r\n{}\r\n0\r\n\r\n",
    "chunk longer than its size": b"Transfer-Encoding: chunked\r\n\r\n1\r\n{}\r\n0\r\n\r\n",
    "second host": b"Host: other\r\nContent-Length: 0\r\n\r\n",
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_request_is_one_4xx_and_the_end(service: Service, name: str) -> None:
    """What could hide a second request is refused whole, and nothing after it is looked at."""
    answer = service.send(POST, HOST, service.credential, JSON, MALFORMED[name], SMUGGLED)

    assert_refused(answer)
    assert service.apideck.minted == []


LINES: dict[str, bytes] = {
    "no host": POST,
    "HTTP/0.9": b"POST /vault-session\r\n",
    "HTTP/2 in clear": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/3.0": b"POST /vault-session HTTP/3.0\r\n" + HOST,
    "unknown protocol": b"POST /vault-session HTCPCP/1.0\r\n" + HOST,
    "method of another protocol": b"EHLO service\r\n" + HOST,
    "method in small letters": b"post /vault-session HTTP/1.1\r\n" + HOST,
    "bytes in the target": b"POST /vault-session\xff HTTP/1.1\r\n" + HOST,
    "NUL in the target": b"POST /vault-session\x00 HTTP/1.1\r\n" + HOST,
    "tunnel": b"CONNECT evil.example:443 HTTP/1.1\r\n" + HOST,
    "bare line feeds": b"POST /vault-session HTTP/1.1\nHost: service\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 64,
}


@pytest.mark.parametrize("name", LINES)
def test_a_request_line_of_another_kind_is_refused(service: Service, name: str) -> None:
    """Older, newer and other protocols, and a request that names no host, end at once."""
    assert_refused(service.send(LINES[name], service.credential, EMPTY, SMUGGLED))
    assert service.apideck.minted == []


TARGETS: dict[bytes, int] = {
    b"http://evil.example/vault-session": 201,
    b"https://user@evil.example:1/vault-session": 201,
    b"/vault-session?consumer_id=globex&access_token=x": 201,
    b"/vault-session#/livez": 201,
    b"*": 404,
    b"//evil.example/vault-session": 404,
    b"/vault-session/../livez": 404,
    b"/vault-session%00": 404,
    b"/vault-session%0d%0aX-A:%20b": 404,
    b"/%ff%fe": 404,
    b"/%c0%af": 404,
}


@pytest.mark.parametrize("target", TARGETS, ids=bytes.decode)
def test_a_strange_target_changes_nothing_but_the_route(service: Service, target: bytes) -> None:
    """Only the path decides; host, query and fragment reach neither Apideck nor the answer."""
    answer = service.send(b"POST ", target, b" HTTP/1.1\r\n", HOST, service.credential, EMPTY)

    status = TARGETS[target]
    assert answer.statuses in ([status], [400])
    assert b"evil" not in answer.data
    assert b"\nX-A" not in answer.data
    assert len(service.apideck.requests) == (status == 201 and answer.statuses == [201])
    for seen in service.apideck.requests:
        assert seen.path == "/vault/sessions"
        assert seen.header("x-apideck-consumer-id") == "ada"
        assert "evil" not in repr(seen.headers)


@pytest.mark.parametrize("host", [b"", b"evil.example", b"a b", b"[::1", b"a@b", b"\xe4.example"])
def test_a_strange_host_changes_nothing(service: Service, host: bytes) -> None:
    """No decision is made on it, and it comes back nowhere."""
    answer = service.send(POST, b"Host: ", host, b"\r\n", service.credential, EMPTY)

    assert answer.statuses in ([201], [400])
    assert not host or host not in answer.data.partition(b"\r\n\r\n")[0]


def test_requests_in_a_row_on_one_connection_keep_their_own_credentials(service: Service) -> None:
    """A pipelined request without a credential does not inherit the one before it."""
    good = POST + HOST + service.credential + EMPTY
    stranger = POST + HOST + EMPTY

    answer = service.send(good, stranger, good)

    assert answer.statuses == [201, 401, 201]
    assert len(service.apideck.minted) == 2


def test_two_credentials_are_told_from_one(service: Service) -> None:
    """Equal headers are not merged on their way in."""
    answer = service.send(POST, HOST, service.credential, service.credential, EMPTY)

    assert answer.statuses == [400]
    assert b"ambiguous-credentials" in answer.data
    assert service.apideck.minted == []


def test_trailers_are_no_headers(service: Service) -> None:
    """A credential that comes after the body is none."""
    chunked = b"Transfer-Encoding: chunked\r\nTrailer: Authorization\r\n\r\n0\r\n"

    answer = service.send(POST, HOST, JSON, chunked, service.credential, b"\r\n")

    assert answer.statuses == [401]
    assert service.apideck.minted == []


def test_an_upgrade_is_not_made(service: Service) -> None:
    """HTTP/2 in clear or a WebSocket through a proxy would be a tunnel past it (h2c smuggling)."""
    for protocol in (b"h2c", b"websocket"):
        upgrade = b"Connection: Upgrade\r\nUpgrade: " + protocol + b"\r\n"
        answer = service.send(POST, HOST, upgrade, service.credential, EMPTY)
        assert answer.statuses in ([201], [400])
    assert_refused(service.send(POST, HOST, b"X: y\nConnection: Upgrade\r\n", EMPTY))


@pytest.mark.parametrize("size", [16_385, 1_000_000])
@pytest.mark.parametrize("declared", [True, False])
def test_an_oversized_body_is_a_413(service: Service, size: int, declared: bool) -> None:
    """Declared or not, no more of it is kept than is allowed."""
    body = b'"' + b"x" * (size - 2) + b'"'
    if declared:
        framed = b"Content-Length: %d\r\n\r\n" % size + body
    else:
        framed = b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % size + body + b"\r\n0\r\n\r\n"

    answer = service.send(POST, HOST, JSON, service.credential, framed)

    # A client that goes on sending can miss the answer: the connection is closed on it.
    assert answer.statuses in ([413], [])
    assert service.apideck.requests == []


@pytest.mark.parametrize(
    "head", [b"X-A: " + b"a" * 33_000, b"X-A: b\r\n" * 5000, b"Cookie: " + b"a=b; " * 7000]
)
def test_an_oversized_head_is_a_431(service: Service, head: bytes) -> None:
    """One long header, many short ones, or a jar full of cookies."""
    answer = service.send(POST, HOST, service.credential, head, b"\r\n", EMPTY)

    assert_refused(answer)
    assert answer.statuses in ([431], [])
    assert service.apideck.requests == []


@pytest.mark.parametrize("endless", [b"a" * 65_536, b"X-A: b\r\n" * 8192, b"\r\n" * 32_768])
def test_a_head_without_an_end_fills_no_memory(service: Service, endless: bytes) -> None:
    """A stranger who sends headers for ever is cut off, and costs no more than a moment."""
    before = service.memory()
    sent = 0
    with connect(service.port) as connection:
        if endless.strip():
            connection.sendall(POST + b"X-A: ")
        try:
            while sent < 40_000_000:
                connection.sendall(endless)
                sent += len(endless)
        except OSError:
            pass

    assert service.memory() - before < 20
    assert sent < 40_000_000 or not endless.strip()


@pytest.mark.parametrize(
    ("begun", "status"),
    [
        (b"", None),
        (b"POS", 408),
        (POST, 408),
        (POST + HOST, 408),
        (POST + HOST + b"X-Slow: a", 408),
    ],
)
def test_a_request_that_does_not_arrive_is_given_up(
    service: Service, begun: bytes, status: int | None
) -> None:
    """Silence, and headers that come a byte at a time (slowloris), end after the timeout."""
    with connect(service.port) as connection:
        connection.sendall(begun)
        started = time.monotonic()
        answer = received(connection)

    assert answer.closed
    assert time.monotonic() - started < SECONDS + 3
    assert answer.statuses in ([], [status])


@pytest.mark.parametrize("part", [POST + HOST + b"X-Slow: ", None])
def test_a_request_that_dribbles_is_given_up(service: Service, part: bytes | None) -> None:
    """Each byte in time does not make a request that is: head and body have one timeout."""
    head = part or POST + HOST + service.credential + JSON + b"Content-Length: 1000\r\n\r\n"
    with connect(service.port) as connection:
        connection.sendall(head)
        started = time.monotonic()
        try:
            while time.monotonic() - started < SECONDS + 5:
                connection.sendall(b" ")
                time.sleep(0.05)
        except OSError:
            pass

    assert time.monotonic() - started < SECONDS + 3
    assert service.apideck.requests == []


def test_a_stranger_cannot_hold_a_connection_with_a_body(service: Service) -> None:
    """Answered before their body was read, they are cut off all the same if it never ends."""
    with connect(service.port) as connection:
        connection.sendall(POST + HOST + JSON + b"Content-Length: 1000\r\n\r\n")
        started = time.monotonic()
        while not (answer := received(connection)).closed and time.monotonic() - started < 5:
            pass

    assert answer.closed
    assert time.monotonic() - started < SECONDS + 3


def test_hundreds_of_slow_requests_keep_nobody_out(service: Service) -> None:
    """While they wait for each other's bytes, a real request is answered at once."""
    slow = [connect(service.port) for _ in range(300)]
    try:
        for connection in slow:
            connection.sendall(POST + HOST + b"X-Slow: ")
        started = time.monotonic()
        answer = service.send(POST, HOST, service.credential, EMPTY)
        took = time.monotonic() - started
    finally:
        for connection in slow:
            connection.close()

    assert answer.statuses == [201]
    assert took < SECONDS + 1


def test_a_body_that_ends_too_early_is_nobodys(service: Service) -> None:
    """A caller who hangs up in the middle of a body has asked for nothing."""
    with connect(service.port) as connection:
        head = POST + HOST + service.credential + JSON
        connection.sendall(head + b'Content-Length: 100\r\n\r\n{"return_to"')

    answer = service.send(POST, HOST, service.credential, EMPTY)
    assert answer.statuses == [201]
    assert len(service.apideck.requests) == 1


def test_a_connection_serves_on_for_as_long_as_requests_come(service: Service) -> None:
    """The timeout is of a request, not of a connection that is kept alive."""
    with httpx.Client(base_url=url(service.environment, "")) as client:
        for _ in range(5):
            assert problem(client.post("/vault-session"))[0] == 401
            time.sleep(SECONDS / 3)
        pool = client._transport._pool  # type: ignore[attr-defined]
        assert len(pool.connections) == 1
