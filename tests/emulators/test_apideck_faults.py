"""The faults of the Apideck emulator, as a client on a real socket sees them."""

import contextlib
import gzip
import socket
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest

from emulators.apideck import ApideckEmulator, faults
from emulators.apideck.faults import Answer, Broken, Dribble, Fault, Slow
from tests.support.apideck_calls import HEADERS, create_session


def abandon(client: httpx.Client, seconds: float) -> None:
    """Request a session, wait this long for the start of the response, and disconnect."""
    with client.stream("POST", "/vault/sessions", timeout=seconds) as response:
        next(response.iter_raw())
        raise httpx.ReadTimeout("enough")


def eventually(condition: Callable[[], bool]) -> bool:
    """Wait until a condition is true, because the server runs in another thread."""
    deadline = time.monotonic() + 10
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.005)
    return condition()


@pytest.mark.parametrize(
    ("status", "type_name"),
    [(status, name) for status, (_, name) in faults.ERRORS.items()] + [(503, "UnknownError")],
)
def test_an_error_has_the_form_of_apidecks_errors(
    client: httpx.Client, apideck: ApideckEmulator, status: int, type_name: str
) -> None:
    """Status, type and detail are as requested, and no session is created."""
    apideck.fail(faults.error(status, "a reason"))

    response = create_session(client)

    assert response.status_code == response.json()["status_code"] == status
    assert response.json()["type_name"] == type_name
    assert response.json()["detail"] == "a reason"
    assert response.headers["request-id"]
    assert apideck.minted == []


@pytest.mark.parametrize(
    "retry_after", [None, "7", faults.http_date(60)], ids=["absent", "seconds", "date"]
)
def test_a_429_has_the_requested_retry_after(
    client: httpx.Client, apideck: ApideckEmulator, retry_after: str | None
) -> None:
    """Retry-After can be absent, a number of seconds or a date."""
    apideck.fail(faults.rate_limited(retry_after))

    response = create_session(client)

    assert response.status_code == 429
    assert response.headers.get("retry-after") == retry_after
    if retry_after and not retry_after.isdigit():
        assert parsedate_to_datetime(retry_after).tzinfo is not None


@pytest.mark.parametrize(
    ("fault", "status", "body"),
    [
        (faults.html(502), 502, b"<html>"),
        (Answer(500), 500, b""),
        (faults.whole(b""), 200, b""),
        (faults.whole(b"null"), 200, b"null"),
        (faults.truncated(), 200, b'{"status_code": 200'),
        (faults.without_data(), 200, b'{"status_code": 200}'),
        (faults.redirect("https://elsewhere.example"), 307, b""),
        (faults.redirect("https://elsewhere.example", 302), 302, b""),
    ],
)
def test_a_response_can_be_anything(
    client: httpx.Client, apideck: ApideckEmulator, fault: Fault, status: int, body: bytes
) -> None:
    """The emulator can send HTML, an empty body, truncated JSON or a redirect, as gateways do."""
    apideck.fail(fault)

    response = create_session(client)

    assert response.status_code == status
    assert response.content.startswith(body)
    assert bool(response.content) == bool(body)


def test_the_data_can_be_altered(client: httpx.Client, apideck: ApideckEmulator) -> None:
    """A field of a normal response can be replaced or removed; the others stay."""
    apideck.fail(faults.data(session_uri="https://elsewhere.example/x"))
    apideck.fail(faults.data(session_token=None))

    foreign, without = (create_session(client).json()["data"] for _ in range(2))

    assert foreign == {
        "session_uri": "https://elsewhere.example/x",
        "session_token": apideck.minted[0].token,
    }
    assert set(without) == {"session_uri"}


def test_a_response_can_be_compressed_or_oversized(
    client: httpx.Client, apideck: ApideckEmulator
) -> None:
    """The emulator can send gzip although the client does not accept it, and a very large body."""
    apideck.fail(faults.compressed())
    apideck.fail(faults.oversized(300_000))

    with client.stream("POST", "/vault/sessions") as compressed:
        raw = b"".join(compressed.iter_raw())
    oversized = create_session(client)

    assert compressed.headers["content-encoding"] == "gzip"
    assert apideck.minted[0].token.encode() in gzip.decompress(raw)
    assert len(oversized.content) > 300_000


@pytest.mark.parametrize(
    ("how", "error"),
    [
        ("reset", httpx.ReadError),
        ("close", httpx.RemoteProtocolError),
        ("cut", httpx.RemoteProtocolError),
        ("accept", httpx.TransportError),
        ("hang", httpx.ReadTimeout),
    ],
)
def test_a_connection_can_break(
    client: httpx.Client, apideck: ApideckEmulator, how: Any, error: type[Exception]
) -> None:
    """Each fault breaks the connection as its name says, and the next request succeeds."""
    apideck.fail(Broken(how))
    seconds = 0.2 if how == "hang" else 10

    with pytest.raises(error):
        client.post("/vault/sessions", timeout=seconds)

    assert create_session(client).status_code == 200


def test_a_cut_response_is_incomplete(client: httpx.Client, apideck: ApideckEmulator) -> None:
    """The client receives the head and fewer bytes than Content-Length announces."""
    apideck.fail(Broken("cut"))

    with client.stream("POST", "/vault/sessions") as response:
        pieces = response.iter_raw()
        first = next(pieces)
        with pytest.raises(httpx.RemoteProtocolError):
            next(pieces)

    assert response.status_code == 200
    assert 0 < len(first) < int(response.headers["content-length"])


def test_a_connection_can_be_closed_when_it_is_accepted(
    apideck: ApideckEmulator, apideck_url: str
) -> None:
    """The emulator closes connections before a request; with `times=None` until it is reset."""
    apideck.fail(Broken("accept"), times=None)
    host, _, port = apideck_url.removeprefix("http://").partition(":")

    for _ in range(2):
        with (
            socket.create_connection((host, int(port)), timeout=5) as connection,
            contextlib.suppress(ConnectionResetError),
        ):
            assert connection.recv(1) == b""
    apideck.reset()

    assert create_session(apideck_url).status_code == 200
    assert len(apideck.requests) == 1


def test_a_slow_response_is_complete(client: httpx.Client, apideck: ApideckEmulator) -> None:
    """A normal response arrives after the requested delay."""
    apideck.fail(Slow(0.1))
    started = time.monotonic()

    response = create_session(client)

    assert time.monotonic() - started >= 0.1
    assert response.json()["data"]["session_token"] == apideck.minted[0].token


def test_a_dribbled_response_is_complete(client: httpx.Client, apideck: ApideckEmulator) -> None:
    """A normal response arrives in many pieces."""
    apideck.fail(Dribble(0))

    response = create_session(client)

    assert response.json()["data"]["session_token"] == apideck.minted[0].token


@pytest.mark.parametrize(
    ("fault", "seconds"), [(Broken("hang"), 0.1), (Slow(30), 0.1), (Dribble(0.02), 10)]
)
def test_clients_that_disconnect_are_counted(
    client: httpx.Client, apideck: ApideckEmulator, fault: Fault, seconds: float
) -> None:
    """Tests use the counter to check that a cancelled call also ends its request to Apideck."""
    apideck.fail(fault)

    with pytest.raises(httpx.ReadTimeout):
        abandon(client, seconds)

    assert eventually(lambda: apideck.disconnects == 1)


def test_the_emulator_stops_while_a_request_hangs() -> None:
    """At the end of a test the emulator does not wait for a response that is never sent."""
    emulator = ApideckEmulator()
    emulator.fail(Broken("hang"))
    with socket.socket() as connection:
        with emulator.serve() as url:
            host, _, port = url.removeprefix("http://").partition(":")
            connection.connect((host, int(port)))
            head = "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items())
            connection.sendall(f"POST /vault/sessions HTTP/1.1\r\nhost: x\r\n{head}\r\n".encode())
            assert eventually(lambda: len(emulator.requests) == 1)
            started = time.monotonic()

        assert time.monotonic() - started < 5
