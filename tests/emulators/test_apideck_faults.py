"""What goes wrong on demand, seen from a client on a real socket."""

import contextlib
import gzip
import socket
import time
from collections.abc import Callable, Iterator
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest

from emulators.apideck import ApideckEmulator, faults
from emulators.apideck.emulator import API_KEY
from emulators.apideck.faults import Answer, Broken, Dribble, Fault, Slow

HEADERS = {
    "authorization": f"Bearer {API_KEY}",
    "x-apideck-app-id": "app",
    "x-apideck-consumer-id": "acme",
    "content-type": "application/json",
}


@pytest.fixture
def client(apideck: ApideckEmulator, apideck_url: str) -> Iterator[httpx.Client]:  # noqa: ARG001 - reset
    """Return a client of the emulator's, with all the right headers."""
    with httpx.Client(base_url=apideck_url, headers=HEADERS) as client:
        yield client


def create(client: httpx.Client) -> httpx.Response:
    """Ask for a session."""
    return client.post("/vault/sessions", json={})


def begin(client: httpx.Client, seconds: float) -> None:
    """Ask for a session, wait so long for the first of it, and hang up."""
    with client.stream("POST", "/vault/sessions", timeout=seconds) as answer:
        next(answer.iter_raw())
        raise httpx.ReadTimeout("enough")


def eventually(holds: Callable[[], bool]) -> bool:
    """Wait until something holds that the server's own thread has to do first."""
    deadline = time.monotonic() + 10
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.005)
    return holds()


@pytest.mark.parametrize(
    ("status", "type_name"),
    [(status, name) for status, (_, name) in faults.ERRORS.items()] + [(503, "UnknownError")],
)
def test_an_error_is_in_apidecks_envelope(
    client: httpx.Client, apideck: ApideckEmulator, status: int, type_name: str
) -> None:
    """Status, type and detail are as asked for, and nothing is minted."""
    apideck.fail(faults.error(status, "a reason"))

    answer = create(client)

    assert answer.status_code == answer.json()["status_code"] == status
    assert answer.json()["type_name"] == type_name
    assert answer.json()["detail"] == "a reason"
    assert answer.headers["request-id"]
    assert apideck.minted == []


@pytest.mark.parametrize("retry_after", [None, "7", faults.http_date(60)])
def test_a_429_has_the_retry_after_that_was_asked_for(
    client: httpx.Client, apideck: ApideckEmulator, retry_after: str | None
) -> None:
    """None, seconds and a date are all possible."""
    apideck.fail(faults.rate_limited(retry_after))

    answer = create(client)

    assert answer.status_code == 429
    assert answer.headers.get("retry-after") == retry_after
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
def test_an_answer_can_be_anything(
    client: httpx.Client, apideck: ApideckEmulator, fault: Fault, status: int, body: bytes
) -> None:
    """HTML, nothing, half a JSON, a redirect: whatever a gateway may send."""
    apideck.fail(fault)

    answer = create(client)

    assert answer.status_code == status
    assert answer.content.startswith(body)
    assert bool(answer.content) == bool(body)


def test_the_data_can_be_altered(client: httpx.Client, apideck: ApideckEmulator) -> None:
    """A field of a real answer is replaced or left out; the others stay."""
    apideck.fail(faults.data(session_uri="https://elsewhere.example/x"))
    apideck.fail(faults.data(session_token=None))

    foreign, without = (create(client).json()["data"] for _ in range(2))

    assert foreign == {
        "session_uri": "https://elsewhere.example/x",
        "session_token": apideck.minted[0].token,
    }
    assert set(without) == {"session_uri"}


def test_an_answer_can_be_compressed_or_enormous(
    client: httpx.Client, apideck: ApideckEmulator
) -> None:
    """Gzip that nobody asked for, and more bytes than anybody should read."""
    apideck.fail(faults.compressed())
    apideck.fail(faults.oversized(300_000))

    with client.stream("POST", "/vault/sessions") as compressed:
        raw = b"".join(compressed.iter_raw())
    oversized = create(client)

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
    """Each way of breaking is what its name says, and the next request is answered."""
    apideck.fail(Broken(how))
    seconds = 0.2 if how == "hang" else 10

    with pytest.raises(error):
        client.post("/vault/sessions", timeout=seconds)

    assert create(client).status_code == 200


def test_a_cut_answer_has_begun(client: httpx.Client, apideck: ApideckEmulator) -> None:
    """Its head and the first of its bytes arrive; Content-Length promised more."""
    apideck.fail(Broken("cut"))

    with client.stream("POST", "/vault/sessions") as answer:
        pieces = answer.iter_raw()
        first = next(pieces)
        with pytest.raises(httpx.RemoteProtocolError):
            next(pieces)

    assert answer.status_code == 200
    assert 0 < len(first) < int(answer.headers["content-length"])


def test_nothing_is_read_from_a_connection_closed_at_accept(
    apideck: ApideckEmulator, apideck_url: str
) -> None:
    """It is closed before a request, until reset where no number of times was given."""
    apideck.fail(Broken("accept"), times=None)
    host, _, port = apideck_url.removeprefix("http://").partition(":")

    for _ in range(2):
        with (
            socket.create_connection((host, int(port)), timeout=5) as connection,
            contextlib.suppress(ConnectionResetError),
        ):
            assert connection.recv(1) == b""
    apideck.reset()

    assert httpx.post(f"{apideck_url}/vault/sessions", headers=HEADERS).status_code == 200
    assert len(apideck.requests) == 1


def test_a_slow_answer_is_the_usual_one(client: httpx.Client, apideck: ApideckEmulator) -> None:
    """It comes no earlier than asked for."""
    apideck.fail(Slow(0.1))
    started = time.monotonic()

    answer = create(client)

    assert time.monotonic() - started >= 0.1
    assert answer.json()["data"]["session_token"] == apideck.minted[0].token


def test_a_dribbled_answer_is_the_usual_one(client: httpx.Client, apideck: ApideckEmulator) -> None:
    """It comes whole, in many pieces."""
    apideck.fail(Dribble(0))

    answer = create(client)

    assert answer.json()["data"]["session_token"] == apideck.minted[0].token


@pytest.mark.parametrize(
    ("fault", "seconds"), [(Broken("hang"), 0.1), (Slow(30), 0.1), (Dribble(0.02), 10)]
)
def test_a_caller_who_hangs_up_is_counted(
    client: httpx.Client, apideck: ApideckEmulator, fault: Fault, seconds: float
) -> None:
    """So a test can tell that a caller who gives up takes its request with it."""
    apideck.fail(fault)

    with pytest.raises(httpx.ReadTimeout):
        begin(client, seconds)

    assert eventually(lambda: apideck.disconnects == 1)


def test_it_ends_at_once_while_a_request_hangs() -> None:
    """Nobody waits for an answer that will never come, least of all the end of a test."""
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
