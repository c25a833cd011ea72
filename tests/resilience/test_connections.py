"""Clients that use their connections in unusual ways, over raw sockets against the process."""

import re
import socket
import time
from collections.abc import Iterator

import pytest

from emulators.apideck import ApideckEmulator
from emulators.apideck.faults import Broken
from emulators.issuer import DevelopmentIssuer
from tests.support.ports import free_ports
from tests.support.process import environment_for, serving, until
from tests.support.raw import Received, connect, exchange, received

POST = b"POST /vault-session HTTP/1.1\r\nHost: service\r\n"
LARGE = b"GET /openapi.json HTTP/1.1\r\nHost: service\r\n\r\n"
ALIVE = b"GET /livez HTTP/1.1\r\nHost: service\r\n\r\n"
METRICS = b"GET /metrics HTTP/1.1\r\nHost: service\r\nConnection: close\r\n\r\n"
END = b"Content-Length: 0\r\n\r\n"


class Service:
    """A service with one slot, where a request must arrive completely within a second."""

    def __init__(self, issuer: DevelopmentIssuer, apideck: ApideckEmulator, port: int) -> None:
        self.apideck = apideck
        self.port = port
        self.post = POST + f"Authorization: Bearer {issuer.token()}\r\n".encode()

    def send(self, *parts: bytes) -> Received:
        """Send the parts on a new connection, and return what arrives."""
        return exchange(self.port, *parts)

    def count(self, sample: str) -> int:
        """Return the sum of the samples that match a pattern."""
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
    """Return the running service; after each test it must still create a session."""
    _running.apideck.reset()
    yield _running
    _running.apideck.reset()
    assert _running.send(_running.post, END).statuses == [201]


def is_disconnected(connection: socket.socket) -> bool:
    """Read some of the buffered data; return whether the server has disconnected."""
    try:
        return connection.recv(65536) == b""
    except ConnectionError:
        return True


def test_a_client_that_never_reads_responses_occupies_no_slot(service: Service) -> None:
    """The client is disconnected once a response cannot be written; the next client is served."""
    rejected = r'sessions_total\{caller_kind="unknown",outcome="refused",.*\}'

    def gets_a_response(before: int) -> bool:
        deadline = time.monotonic() + 0.5
        while time.monotonic() < deadline:
            if service.count(rejected) > before:
                return True
        return False

    with connect(service.port, timeout=20, receive_buffer_bytes=4096) as connection:
        for _ in range(500):
            before = service.count(rejected)
            connection.sendall(POST + END)
            if not gets_a_response(before):
                break
            connection.sendall(LARGE)
        else:
            pytest.fail("every response was written")
        response = service.send(service.post, END)
        until(lambda: is_disconnected(connection))

    assert response.statuses == [201]


def test_a_disconnect_after_a_pipelined_request_is_detected(service: Service) -> None:
    """The request to Apideck ends and the slot is free, although a request was not read yet."""
    abandoned = r'sessions_total\{caller_kind="user",outcome="abandoned",.*\}'
    before = service.count(abandoned)
    service.apideck.fail(Broken("hang"))
    with connect(service.port) as connection:
        connection.sendall((service.post + END) * 2)
        until(lambda: len(service.apideck.requests) == 1)
    until(lambda: service.count(abandoned) == before + 1)

    assert service.apideck.minted == []


def test_a_rejection_before_an_announced_body_closes_the_connection(service: Service) -> None:
    """The client may omit that body (RFC 9110 section 10.1.1), so no request can follow."""
    expecting = POST + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(ALIVE)
    response = service.send(expecting, ALIVE)

    assert response.statuses == [401]
    assert response.closed
    assert response.headers["connection"] == "close"


def test_a_client_that_waits_for_100_continue_is_served(service: Service) -> None:
    """After the 100 it sends the body; the response closes the connection."""
    head = b"Content-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
    with connect(service.port) as connection:
        connection.sendall(service.post + head)
        interim = received(connection)
        connection.sendall(b"{}")
        response = received(connection)

    assert interim.data == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert (response.statuses, response.closed) == ([201], True)


def test_the_rest_of_a_long_body_is_not_part_of_the_next_head(service: Service) -> None:
    """The rest of the body arrives together with the beginning of the next request."""
    head = b"Content-Type: application/json\r\nContent-Length: 150000\r\n\r\n"
    with connect(service.port) as connection:
        connection.sendall(service.post + head)
        rejected = received(connection)
        connection.sendall(b" " * 150_000 + ALIVE[:20])
        time.sleep(0.2)
        connection.sendall(ALIVE[20:])
        served = received(connection)

    assert (rejected.statuses, served.statuses) == ([413], [200])
