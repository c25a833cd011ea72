"""What clients do with their connections, over raw sockets against the real process."""

import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from emulators.apideck import ApideckEmulator
from emulators.apideck.faults import Broken
from emulators.issuer import DevelopmentIssuer
from tests.support.ports import free_ports
from tests.support.process import environment_for, serving, until
from tests.support.raw import Answered, connect, exchange, received

POST = b"POST /vault-session HTTP/1.1\r\nHost: service\r\n"
LARGE = b"GET /openapi.json HTTP/1.1\r\nHost: service\r\n\r\n"
ALIVE = b"GET /livez HTTP/1.1\r\nHost: service\r\n\r\n"
METRICS = b"GET /metrics HTTP/1.1\r\nHost: service\r\nConnection: close\r\n\r\n"
END = b"Content-Length: 0\r\n\r\n"


class Service:
    """A service that works on one request at a time, with a receive timeout of a second."""

    def __init__(self, issuer: DevelopmentIssuer, apideck: ApideckEmulator, port: int) -> None:
        self.apideck = apideck
        self.port = port
        self.post = POST + f"Authorization: Bearer {issuer.token()}\r\n".encode()

    def send(self, *parts: bytes) -> Answered:
        """Send the parts over a new connection, and return the responses."""
        return exchange(self.port, b"".join(parts))

    def count(self, sample: str) -> int:
        """Return the value of a counter."""
        page = self.send(METRICS).data.decode()
        return sum(map(int, re.findall(rf"^vault_bff_{sample} (\d+)\.0$", page, re.MULTILINE)))


@pytest.fixture(scope="module")
def _running() -> Iterator[Service]:
    issuer, apideck = DevelopmentIssuer(), ApideckEmulator()
    with issuer.serve(), apideck.serve() as apideck_url:
        environment = environment_for(issuer.issuer, apideck_url, free_ports())
        environment |= {
            "LIMITS__MAX_IN_FLIGHT": "1",
            "LIMITS__MAX_WAITING": "9",
            "LIMITS__MAX_WAIT_SECONDS": "30",
            "LIMITS__PER_USER": "unlimited",
            "SESSION__JOIN_IDENTICAL": "false",
            "APIDECK__DEADLINE_SECONDS": "60",
            "APIDECK__ATTEMPT_TIMEOUT_SECONDS": "60",
            "SERVER__RECEIVE_TIMEOUT_SECONDS": "1",
            "LOG__LEVEL": "error",
        }
        with serving(environment):
            yield Service(issuer, apideck, int(environment["SERVER__PORT"]))


@pytest.fixture
def service(_running: Service) -> Iterator[Service]:
    """Return the running service; after each test it must still serve a request."""
    _running.apideck.reset()
    yield _running
    _running.apideck.reset()
    assert _running.send(_running.post, END).statuses == [201]


@contextmanager
def slow_reader(port: int) -> Iterator[socket.socket]:
    """Open a connection with a very small receive buffer."""
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(20)
        connection.connect(("127.0.0.1", port))
        yield connection


def is_reset(connection: socket.socket) -> bool:
    """Read what has arrived; return whether the connection was reset."""
    try:
        connection.recv(65536)
    except ConnectionError:
        return True
    return False


def test_a_client_that_reads_no_responses_does_not_block_others(service: Service) -> None:
    """Its connection is closed when responses cannot be written; the next client is served."""
    rejections = r'sessions_total\{caller_kind="unknown",outcome="refused",.*\}'

    def is_counted(before: int) -> bool:
        deadline = time.monotonic() + 0.5
        while time.monotonic() < deadline:
            if service.count(rejections) > before:
                return True
        return False

    with slow_reader(service.port) as connection:
        for _ in range(500):
            before = service.count(rejections)
            connection.sendall(POST + END)
            if not is_counted(before):
                break
            connection.sendall(LARGE)
        else:
            pytest.fail("every response was written")
        response = service.send(service.post, END)
        until(lambda: is_reset(connection))

    assert response.statuses == [201]


def test_a_client_that_disconnects_with_a_pipelined_request_is_noticed(service: Service) -> None:
    """The request to Apideck is cancelled, although the service has not read the second one."""
    abandoned = r'sessions_total\{caller_kind="user",outcome="abandoned",.*\}'
    before = service.count(abandoned)
    service.apideck.fail(Broken("hang"))
    with connect(service.port) as connection:
        connection.sendall((service.post + END) * 2)
        until(lambda: len(service.apideck.requests) == 1)
    until(lambda: service.count(abandoned) == before + 1)

    assert service.apideck.minted == []


def test_a_rejection_before_the_expected_body_closes_the_connection(service: Service) -> None:
    """The client may send the body or not (RFC 9110 section 10.1.1), so the rest is ambiguous."""
    request = POST + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(ALIVE)
    response = service.send(request, ALIVE)

    assert response.statuses == [401]
    assert response.closed
    assert b"\r\nconnection: close\r\n" in response.data


def test_a_client_that_waits_for_100_continue_is_served(service: Service) -> None:
    """The connection ends with the response."""
    head = b"Content-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
    with connect(service.port) as connection:
        connection.sendall(service.post + head)
        interim = received(connection)
        connection.sendall(b"{}")
        response = received(connection)

    assert interim.data == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert (response.statuses, response.closed) == ([201], True)


def test_the_rest_of_a_long_body_is_not_part_of_the_next_request(service: Service) -> None:
    """The rest may arrive together with the start of the next request."""
    head = b"Content-Type: application/json\r\nContent-Length: 150000\r\n\r\n"
    with connect(service.port) as connection:
        connection.sendall(service.post + head)
        rejected = received(connection)
        connection.sendall(b" " * 150_000 + ALIVE[:20])
        time.sleep(0.2)
        connection.sendall(ALIVE[20:])
        served = received(connection)

    assert (rejected.statuses, served.statuses) == ([413], [200])
