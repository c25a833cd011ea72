"""What callers do with their connections, by hand against the real process."""

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
    """A service with one place, which gives a connection a second to go on."""

    def __init__(self, issuer: DevelopmentIssuer, apideck: ApideckEmulator, port: int) -> None:
        self.apideck = apideck
        self.port = port
        self.post = POST + f"Authorization: Bearer {issuer.token()}\r\n".encode()

    def send(self, *parts: bytes) -> Answered:
        """Send the parts on a connection of their own, and return what comes back."""
        return exchange(self.port, b"".join(parts))

    def count(self, sample: str) -> int:
        """Return what a counter of sessions says."""
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
    """Return the running service; whatever was done to it, it must serve the next."""
    _running.apideck.reset()
    yield _running
    _running.apideck.reset()
    assert _running.send(_running.post, END).statuses == [201]


@contextmanager
def deaf(port: int) -> Iterator[socket.socket]:
    """Open a connection that takes next to nothing of what it is answered."""
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(20)
        connection.connect(("127.0.0.1", port))
        yield connection


def is_reset(connection: socket.socket) -> bool:
    """Take what is there of an answer; tell whether the connection was broken off."""
    try:
        connection.recv(65536)
    except ConnectionError:
        return True
    return False


def test_who_reads_no_answer_keeps_nobody_from_a_place(service: Service) -> None:
    """A stranger whose refusal cannot be written is hung up on, and the next caller is served."""
    refused = r'sessions_total\{caller_kind="unknown",outcome="refused",.*\}'

    def is_answered(before: int) -> bool:
        deadline = time.monotonic() + 0.5
        while time.monotonic() < deadline:
            if service.count(refused) > before:
                return True
        return False

    with deaf(service.port) as connection:
        for _ in range(500):
            before = service.count(refused)
            connection.sendall(POST + END)
            if not is_answered(before):
                break
            connection.sendall(LARGE)
        else:
            pytest.fail("all of it was taken")
        answer = service.send(service.post, END)
        until(lambda: is_reset(connection))

    assert answer.statuses == [201]


def test_who_hangs_up_with_another_request_behind_the_first_is_noticed(service: Service) -> None:
    """The request to Apideck ends, and the place is free, though nobody read what came last."""
    gone = r'sessions_total\{caller_kind="user",outcome="abandoned",.*\}'
    before = service.count(gone)
    service.apideck.fail(Broken("hang"))
    with connect(service.port) as connection:
        connection.sendall((service.post + END) * 2)
        until(lambda: len(service.apideck.requests) == 1)
    until(lambda: service.count(gone) == before + 1)

    assert service.apideck.minted == []


def test_who_is_refused_before_a_body_they_asked_about_is_hung_up_on(service: Service) -> None:
    """They may send it or not (RFC 9110 section 10.1.1), so nothing that follows has a meaning."""
    asking = POST + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(ALIVE)
    answer = service.send(asking, ALIVE)

    assert answer.statuses == [401]
    assert answer.closed
    assert b"\r\nconnection: close\r\n" in answer.data


def test_who_is_told_to_go_on_with_a_body_is_served(service: Service) -> None:
    """And the connection ends with the answer."""
    head = b"Content-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
    with connect(service.port) as connection:
        connection.sendall(service.post + head)
        told = received(connection)
        connection.sendall(b"{}")
        answer = received(connection)

    assert told.data == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert (answer.statuses, answer.closed) == ([201], True)


def test_the_rest_of_a_long_body_is_no_part_of_the_next_head(service: Service) -> None:
    """However much of it comes together with the beginning of that."""
    head = b"Content-Type: application/json\r\nContent-Length: 150000\r\n\r\n"
    with connect(service.port) as connection:
        connection.sendall(service.post + head)
        refused = received(connection)
        connection.sendall(b" " * 150_000 + ALIVE[:20])
        time.sleep(0.2)
        connection.sendall(ALIVE[20:])
        served = received(connection)

    assert (refused.statuses, served.statuses) == ([413], [200])
