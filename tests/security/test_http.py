"""Raw HTTP against the real process: requests that two parsers read differently, or that never end.

Each ends in a 4xx, as a problem where HTTP still works, or in a closed connection. No session is
created beyond what its one credential allows, and the process serves the next request.
"""

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
from tests.support.raw import Received, connect, exchange, received

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
    """The running process, and what it depends on."""

    def __init__(
        self,
        world: tuple[DevelopmentIssuer, ApideckEmulator, dict[str, str]],
        process: "subprocess.Popen[str]",
    ) -> None:
        issuer, self.apideck, self.environment = world
        self.process = process
        self.port = int(self.environment["SERVER__PORT"])
        self.credential = f"Authorization: Bearer {issuer.token()}\r\n".encode()

    def send(self, *parts: bytes) -> Received:
        """Send the parts as one request, and return what arrives."""
        return exchange(self.port, *parts)

    def memory(self) -> int:
        """Return the resident memory of the process in megabytes."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * 4096 // 1_000_000


@pytest.fixture
def service(
    _world: tuple[DevelopmentIssuer, ApideckEmulator, dict[str, str]],
    _process: "subprocess.Popen[str]",
) -> Iterator[Service]:
    """Return the running service, and check after the test that it still serves requests."""
    _world[1].reset()
    running = Service(_world, _process)
    yield running
    assert running.process.poll() is None
    _world[1].reset()
    assert running.send(POST, HOST, running.credential, EMPTY).statuses == [201]


def assert_rejected(response: Received) -> None:
    """Assert that there is at most one response, a 4xx problem, and a closed connection."""
    assert response.closed
    assert len(response.statuses) <= 1
    assert all(400 <= status < 500 for status in response.statuses)
    if response.statuses:
        assert response.headers["content-type"] == "application/problem+json"
        assert response.headers["cache-control"] == "no-store"
        assert response.json["status"] == response.statuses[0]


MALFORMED: dict[str, bytes] = {
    "length and chunks (CL.TE, TE.CL)": b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"0\r\n\r\n",
    "two lengths (CL.CL)": b"Content-Length: 0\r\nContent-Length: 34\r\n\r\n",
    "two equal lengths in one header": b"Content-Length: 2, 2\r\n\r\n{}",
    "length with a sign": b"Content-Length: +2\r\n\r\n{}",
    "negative length": b"Content-Length: -1\r\n\r\n",
    "hexadecimal length": b"Content-Length: 0x2\r\n\r\n{}",
    "length beyond 64 bits": b"Content-Length: 99999999999999999999\r\n\r\n",
    "length with non-ASCII digits": b"Content-Length: \xd9\xa2\r\n\r\n{}",
    "unknown transfer coding": b"Transfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "coding that only looks like chunked": b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "coding after chunked": b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    "coding after a vertical tab": b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
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
    "empty chunk size": b"Transfer-Encoding: chunked\r\n\r\n;a=b\r\n{}\r\n0\r\n\r\n",
    "chunk longer than its size": b"Transfer-Encoding: chunked\r\n\r\n1\r\n{}\r\n0\r\n\r\n",
    "second host": b"Host: other\r\nContent-Length: 0\r\n\r\n",
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_request_is_one_4xx_and_a_closed_connection(
    service: Service, name: str
) -> None:
    """A request that could hide a second one is rejected; nothing after it is processed."""
    response = service.send(POST, HOST, service.credential, JSON, MALFORMED[name], SMUGGLED)

    assert_rejected(response)
    assert service.apideck.minted == []


LINES: dict[str, bytes] = {
    "no host": POST,
    "HTTP/0.9": b"POST /vault-session\r\n",
    "HTTP/2 without TLS": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/3.0": b"POST /vault-session HTTP/3.0\r\n" + HOST,
    "unknown protocol": b"POST /vault-session HTCPCP/1.0\r\n" + HOST,
    "method of another protocol": b"EHLO service\r\n" + HOST,
    "lowercase method": b"post /vault-session HTTP/1.1\r\n" + HOST,
    "bytes in the target": b"POST /vault-session\xff HTTP/1.1\r\n" + HOST,
    "NUL in the target": b"POST /vault-session\x00 HTTP/1.1\r\n" + HOST,
    "tunnel": b"CONNECT evil.example:443 HTTP/1.1\r\n" + HOST,
    "bare line feeds": b"POST /vault-session HTTP/1.1\nHost: service\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 64,
}


@pytest.mark.parametrize("name", LINES)
def test_an_unsupported_request_line_is_rejected(service: Service, name: str) -> None:
    """Older, newer and other protocols, and requests without a host, are rejected."""
    assert_rejected(service.send(LINES[name], service.credential, EMPTY, SMUGGLED))
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
def test_an_unusual_target_affects_the_route_only(service: Service, target: bytes) -> None:
    """Only the path matters; host, query and fragment reach neither Apideck nor the response."""
    response = service.send(b"POST ", target, b" HTTP/1.1\r\n", HOST, service.credential, EMPTY)

    status = TARGETS[target]
    assert response.statuses in ([status], [400])
    assert b"evil" not in response.data
    assert b"\nX-A" not in response.data
    assert len(service.apideck.requests) == (status == 201 and response.statuses == [201])
    for seen in service.apideck.requests:
        assert seen.path == "/vault/sessions"
        assert seen.header("x-apideck-consumer-id") == "ada"
        assert "evil" not in repr(seen.headers)


@pytest.mark.parametrize("host", [b"", b"evil.example", b"a b", b"[::1", b"a@b", b"\xe4.example"])
def test_an_unusual_host_changes_nothing(service: Service, host: bytes) -> None:
    """No decision depends on the Host header, and no response contains it."""
    response = service.send(POST, b"Host: ", host, b"\r\n", service.credential, EMPTY)

    assert response.statuses in ([201], [400])
    assert not host or host not in response.data.partition(b"\r\n\r\n")[0]


def test_pipelined_requests_keep_their_own_credentials(service: Service) -> None:
    """A request without a credential does not inherit that of the one before it."""
    valid = POST + HOST + service.credential + EMPTY
    anonymous = POST + HOST + EMPTY

    response = service.send(valid, anonymous, valid)

    assert response.statuses == [201, 401, 201]
    assert len(service.apideck.minted) == 2


def test_two_equal_credentials_are_rejected(service: Service) -> None:
    """The service does not merge equal headers."""
    response = service.send(POST, HOST, service.credential, service.credential, EMPTY)

    assert response.statuses == [400]
    assert b"ambiguous-credentials" in response.data
    assert service.apideck.minted == []


def test_trailers_are_not_headers(service: Service) -> None:
    """A credential after the body does not count."""
    chunked = b"Transfer-Encoding: chunked\r\nTrailer: Authorization\r\n\r\n0\r\n"

    response = service.send(POST, HOST, JSON, chunked, service.credential, b"\r\n")

    assert response.statuses == [401]
    assert service.apideck.minted == []


def test_a_connection_is_not_upgraded(service: Service) -> None:
    """An upgrade to HTTP/2 or a WebSocket would bypass a proxy (h2c smuggling)."""
    for protocol in (b"h2c", b"websocket"):
        upgrade = b"Connection: Upgrade\r\nUpgrade: " + protocol + b"\r\n"
        response = service.send(POST, HOST, upgrade, service.credential, EMPTY)
        assert response.statuses in ([201], [400])
    assert_rejected(service.send(POST, HOST, b"X: y\nConnection: Upgrade\r\n", EMPTY))


@pytest.mark.parametrize(
    "framing", [b"Content-Length: 32\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n20\r\n"]
)
def test_a_body_behind_an_upgrade_is_not_a_request(service: Service, framing: bytes) -> None:
    """The attack: the parser skips the body of a request to upgrade, and reads it as the next one.

    Java's HttpClient asks to upgrade by default, so its body would be ignored.
    """
    upgrade = b"Connection: Upgrade\r\nUpgrade: h2c\r\n"
    smuggled = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
    assert len(smuggled) == 32

    response = service.send(POST, HOST, upgrade, JSON, service.credential, framing, smuggled)

    assert response.statuses == [400]
    assert service.apideck.minted == []


def test_a_request_behind_an_upgrade_is_not_lost_silently(service: Service) -> None:
    """The response says that the connection ends, so the client sends the next request again."""
    upgrade = b"Connection: Upgrade\r\nUpgrade: h2c\r\n"

    response = service.send(POST, HOST, upgrade, service.credential, EMPTY, POST, HOST, EMPTY)

    assert response.statuses == [201]
    assert b"connection: close" in response.data.lower()


@pytest.mark.parametrize("size", [16_385, 1_000_000])
@pytest.mark.parametrize("declared", [True, False])
def test_an_oversized_body_is_a_413(service: Service, size: int, declared: bool) -> None:
    """The limit applies whether or not the length is declared."""
    body = b'"' + b"x" * (size - 2) + b'"'
    if declared:
        framed = b"Content-Length: %d\r\n\r\n" % size + body
    else:
        framed = b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % size + body + b"\r\n0\r\n\r\n"

    response = service.send(POST, HOST, JSON, service.credential, framed)

    # A client that goes on sending may miss the response, because the connection is closed.
    assert response.statuses in ([413], [])
    assert service.apideck.requests == []


@pytest.mark.parametrize(
    "head", [b"X-A: " + b"a" * 33_000, b"X-A: b\r\n" * 5000, b"Cookie: " + b"a=b; " * 7000]
)
def test_an_oversized_head_is_a_431(service: Service, head: bytes) -> None:
    """The limit applies to one long header, many short headers, and many cookies."""
    response = service.send(POST, HOST, service.credential, head, b"\r\n", EMPTY)

    assert_rejected(response)
    assert response.statuses in ([431], [])
    assert not response.statuses or b"at most 32768 bytes" in response.data
    assert service.apideck.requests == []


CHUNKED = HOST + JSON + b"Transfer-Encoding: chunked\r\n\r\n0\r\n"
ENDLESS: dict[str, tuple[bytes, bytes]] = {
    "header": (POST + b"X-A: ", b"a" * 65_536),
    "headers": (POST, b"X-A: b\r\n" * 8192),
    "trailer": (POST + CHUNKED + b"X-A: ", b"a" * 65_536),
    "trailers": (POST + CHUNKED, b"X-A: b\r\n" * 8192),
    "empty lines": (b"", b"\r\n" * 32_768),
}


@pytest.mark.parametrize("name", ENDLESS)
def test_an_endless_head_does_not_fill_memory(service: Service, name: str) -> None:
    """The service closes the connection if headers or trailers never end."""
    begun, endless = ENDLESS[name]
    before = service.memory()
    sent = 0
    with connect(service.port) as connection:
        connection.sendall(begun)
        try:
            while sent < 40_000_000:
                connection.sendall(endless)
                sent += len(endless)
        except OSError:
            pass

    assert service.memory() - before < 20
    assert sent < 40_000_000


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
def test_an_incomplete_request_times_out(
    service: Service, begun: bytes, status: int | None
) -> None:
    """A silent connection, or headers that arrive slowly (slowloris), end after the timeout."""
    with connect(service.port) as connection:
        connection.sendall(begun)
        started = time.monotonic()
        response = received(connection)

    assert response.closed
    assert time.monotonic() - started < SECONDS + 3
    assert response.statuses in ([], [status])


@pytest.mark.parametrize("part", [POST + HOST + b"X-Slow: ", None])
def test_a_request_that_arrives_byte_by_byte_times_out(
    service: Service, part: bytes | None
) -> None:
    """Head and body have one deadline, however soon the next byte follows."""
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


def test_an_unauthenticated_client_cannot_keep_a_connection_with_a_body(service: Service) -> None:
    """The response is sent before the body is read, and the connection closes after the timeout."""
    with connect(service.port) as connection:
        connection.sendall(POST + HOST + JSON + b"Content-Length: 1000\r\n\r\n")
        started = time.monotonic()
        while not (response := received(connection)).closed and time.monotonic() - started < 5:
            pass

    assert response.closed
    assert time.monotonic() - started < SECONDS + 3


def test_hundreds_of_slow_requests_do_not_delay_others(service: Service) -> None:
    """A complete request gets its response while 300 other requests are incomplete."""
    slow = [connect(service.port) for _ in range(300)]
    try:
        for connection in slow:
            connection.sendall(POST + HOST + b"X-Slow: ")
        started = time.monotonic()
        response = service.send(POST, HOST, service.credential, EMPTY)
        took = time.monotonic() - started
    finally:
        for connection in slow:
            connection.close()

    assert response.statuses == [201]
    assert took < SECONDS + 1


def test_an_incomplete_body_is_not_a_request(service: Service) -> None:
    """A client that disconnects in the middle of its body gets no session."""
    with connect(service.port) as connection:
        head = POST + HOST + service.credential + JSON
        connection.sendall(head + b'Content-Length: 100\r\n\r\n{"return_to"')

    response = service.send(POST, HOST, service.credential, EMPTY)
    assert response.statuses == [201]
    assert len(service.apideck.requests) == 1


def test_the_deadline_applies_to_each_request(service: Service) -> None:
    """A connection stays open across several requests, for longer than the deadline of one."""
    with httpx.Client(base_url=url(service.environment, "")) as client:
        for _ in range(5):
            assert problem(client.post("/vault-session"))[0] == 401
            time.sleep(SECONDS / 3)
        pool = client._transport._pool  # type: ignore[attr-defined]
        assert len(pool.connections) == 1
