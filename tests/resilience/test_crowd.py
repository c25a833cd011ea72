"""More than a process can do, by hand against the real one: who waits, and who is refused."""

import json
import re
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from emulators.apideck import ApideckEmulator
from emulators.apideck.faults import Broken, Slow
from emulators.issuer import DevelopmentIssuer
from tests.support.ports import free_ports
from tests.support.process import environment_for, serving, until
from tests.support.raw import Answered, connect, exchange, received

POST = b"POST /vault-session HTTP/1.1\r\nHost: service\r\n"
END = b"Content-Length: 0\r\n\r\n"
SMUGGLED = b"GET /livez HTTP/1.1\r\nHost: service\r\n\r\n"
PAGE, FOREIGN = b"https://app.example.com", b"https://evil.example"

World = tuple[DevelopmentIssuer, ApideckEmulator, dict[str, str]]


class Crowded:
    """A service with one place, for which one may wait."""

    def __init__(self, world: World) -> None:
        issuer, self.apideck, environment = world
        self.port = int(environment["SERVER__PORT"])
        self.post = POST + f"Authorization: Bearer {issuer.token()}\r\n".encode()

    @contextmanager
    def taken(self) -> Iterator[socket.socket]:
        """Have somebody take the place; yields their connection, which holds it while open."""
        before = len(self.apideck.requests)
        self.apideck.fail(Broken("hang"))
        with connect(self.port) as inside:
            inside.sendall(self.post + END)
            until(lambda: len(self.apideck.requests) > before)
            yield inside

    @contextmanager
    def full(self) -> Iterator[socket.socket]:
        """Have somebody take the place, and another wait for it; yields the one who waits."""
        with self.taken() as inside, self.waiting(self.post + END) as waiting:
            yield waiting
            inside.close()
            assert received(waiting).statuses == [201]

    @contextmanager
    def waiting(self, request: bytes) -> Iterator[socket.socket]:
        """Have a request wait for the place."""
        with connect(self.port) as connection:
            connection.sendall(request)
            until(lambda: b"vault_bff_requests_waiting 1.0" in self.metrics())
            yield connection

    def send(self, *parts: bytes) -> Answered:
        """Send the parts as one request and return what comes back."""
        return exchange(self.port, b"".join(parts))

    def metrics(self) -> bytes:
        """Return the page of metrics."""
        return self.send(
            b"GET /metrics HTTP/1.1\r\nHost: service\r\nConnection: close\r\n\r\n"
        ).data

    def abandoned(self, caller_kind: str) -> int:
        """Return how many callers of a kind hung up."""
        kind = f'sessions_total{{caller_kind="{caller_kind}",outcome="abandoned"'.encode()
        return sum(map(int, re.findall(kind + rb".*} (\d+)", self.metrics())))


def parsed(answer: Answered) -> tuple[dict[str, str], dict[str, object]]:
    """Return an answer's headers and body, without what is another each time."""
    head, _, body = answer.data.partition(b"\r\n\r\n")
    headers = dict(line.decode().split(": ", 1) for line in head.split(b"\r\n")[1:])
    content = json.loads(body)
    assert headers.pop("x-request-id") == content.pop("request_id")
    assert int(headers.pop("content-length")) == len(body)
    del headers["date"]
    return headers, content


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """Return an issuer, Apideck, and the environment of a service with one place between them."""
    issuer, apideck = DevelopmentIssuer(), ApideckEmulator()
    with issuer.serve(), apideck.serve() as apideck_url:
        environment = environment_for(issuer.issuer, apideck_url, free_ports())
        environment |= {
            "CORS__ALLOW_ORIGINS": json.dumps([PAGE.decode()]),
            "LIMITS__MAX_IN_FLIGHT": "1",
            "LIMITS__MAX_WAITING": "1",
            "LIMITS__MAX_WAIT_SECONDS": "30",
            "LIMITS__PER_USER": "unlimited",
            "SESSION__JOIN_IDENTICAL": "false",
            "APIDECK__DEADLINE_SECONDS": "60",
            "APIDECK__ATTEMPT_TIMEOUT_SECONDS": "60",
            "SERVER__SHUTDOWN_GRACE_SECONDS": "70",
        }
        yield issuer, apideck, environment


@pytest.fixture(scope="module")
def _process(world: World) -> Iterator[Crowded]:
    _, _, environment = world
    with serving({**environment, "LOG__LEVEL": "error"}):
        yield Crowded(world)


@pytest.fixture
def crowded(_process: Crowded) -> Iterator[Crowded]:
    """Return the running service, empty; whatever was done to it, it must serve the next."""
    _process.apideck.reset()
    yield _process
    _process.apideck.reset()
    assert _process.send(_process.post, END).statuses == [201]


@pytest.fixture
def alone(world: World) -> World:
    """Return the same for a process that a test can end."""
    issuer, apideck, environment = world
    apideck.reset()
    return issuer, apideck, {**environment, "SERVER__PORT": str(free_ports())}


@pytest.mark.parametrize("origin", [None, PAGE, FOREIGN])
def test_who_is_refused_has_the_headers_of_every_answer(
    crowded: Crowded, origin: bytes | None
) -> None:
    """Those of the application's own, which lets the same pages read it."""
    page = b"Origin: " + origin + b"\r\n" if origin else b""
    application, _ = parsed(crowded.send(POST, page, END))
    with crowded.full():
        headers, content = parsed(crowded.send(crowded.post, page, END))

    assert content["type"] == "/problems/overloaded"
    assert headers.pop("retry-after") == "1"
    assert headers["content-type"] == "application/problem+json"
    assert ("access-control-allow-origin" in headers) == (origin == PAGE)
    assert "www-authenticate" in application.keys() - headers.keys()
    del application["www-authenticate"]
    if origin == FOREIGN:
        # What pages could read, told to one that can read nothing.
        del application["access-control-expose-headers"]
    assert headers == application


def test_who_is_refused_keeps_their_own_id(crowded: Crowded) -> None:
    """The caller's where it can be one, else another for each."""
    with crowded.full():
        own = crowded.send(crowded.post, b"X-Request-Id: callers-own-1\r\n", END)
        strange = crowded.send(crowded.post, b'X-Request-Id: "},{"\r\n', END)
        two = b"X-Request-Id: callers-own-2\r\nX-Request-Id: callers-own-3\r\n"
        first = crowded.send(crowded.post, two, END)

    assert b"\r\nx-request-id: callers-own-1\r\n" in own.data
    assert json.loads(own.data.partition(b"\r\n\r\n")[2])["request_id"] == "callers-own-1"
    assert b"\r\nx-request-id: callers-own-2\r\n" in first.data
    assert len(str(json.loads(strange.data.partition(b"\r\n\r\n")[2])["request_id"])) == 32


@pytest.mark.parametrize(
    "body",
    [
        b"Content-Length: %d\r\n\r\n%b" % (len(SMUGGLED), SMUGGLED),
        b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED),
    ],
    ids=["length", "chunks"],
)
def test_the_body_of_a_refused_request_is_no_request(crowded: Crowded, body: bytes) -> None:
    """It is passed over, whichever way its length is told; the next request is read aright."""
    with connect(crowded.port) as connection:
        with crowded.full():
            connection.sendall(crowded.post + b"Content-Type: application/json\r\n" + body)
            refused = received(connection)
        connection.sendall(crowded.post + END)
        served = received(connection)

    assert refused.statuses == [503]
    assert served.statuses == [201]


def test_a_body_that_comes_while_its_request_waits_is_read_when_it_is_its_turn(
    crowded: Crowded,
) -> None:
    """Whether it came with the head or after it, all of it is there."""
    body = b'{"redirect_uri":"https://nobody.example"}'
    head = b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    with (
        crowded.taken() as inside,
        crowded.waiting(crowded.post + head + body[:9]) as connection,
    ):
        connection.sendall(body[9:])
        inside.close()
        answer = received(connection)

    assert answer.statuses == [403]
    assert b"/problems/redirect-not-allowed" in answer.data


def test_who_waits_and_hangs_up_takes_no_place(crowded: Crowded) -> None:
    """The next who came has it instead."""
    inside_before, waiting_before = crowded.abandoned("user"), crowded.abandoned("unknown")
    with crowded.taken() as inside:
        with crowded.waiting(crowded.post + END):
            pass
        inside.close()
        until(lambda: b"vault_bff_requests_waiting 0.0" in crowded.metrics())
        answer = crowded.send(crowded.post, END)

    assert answer.statuses == [201]
    assert crowded.abandoned("user") == inside_before + 1
    until(lambda: crowded.abandoned("unknown") == waiting_before + 1)


def test_requests_in_a_row_are_answered_in_their_order(crowded: Crowded) -> None:
    """On one connection nobody is refused before those who were there first have their answers."""
    with connect(crowded.port) as connection:
        with crowded.full():
            connection.sendall((crowded.post + END) * 2 + SMUGGLED)
            refused = received(connection)
        crowded.apideck.fail(Slow(0.5), times=2)
        connection.sendall((crowded.post + END) * 2)
        served = received(connection, quiet_seconds=2)

    assert refused.statuses == [503, 503, 200]
    assert served.statuses == [201, 201]


def test_many_in_a_row_are_each_refused(crowded: Crowded) -> None:
    """And the connection serves on."""
    with connect(crowded.port) as connection:
        with crowded.full():
            connection.sendall((POST + END) * 9)
            refused = received(connection, quiet_seconds=1)
        connection.sendall(crowded.post + END)
        served = received(connection)

    assert refused.statuses == [503] * 9
    assert served.statuses == [201]


def test_no_connection_has_many_wait_behind_each_other(crowded: Crowded) -> None:
    """Who sends ten at once is no client, and is hung up on."""
    with crowded.taken() as inside:
        answer = crowded.send((crowded.post + END) * 10)
        inside.close()

    assert answer.closed
    assert set(answer.statuses) <= {400}


def test_who_asks_and_asks_and_reads_no_answer_is_hung_up_on(crowded: Crowded) -> None:
    """Or their answers would fill the memory."""
    with crowded.full(), socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(20)
        connection.connect(("127.0.0.1", crowded.port))
        with pytest.raises(ConnectionError):
            connection.sendall((POST + END) * 100_000)


def test_what_nobody_would_read_of_a_body_is_not_kept(crowded: Crowded) -> None:
    """However much comes while its request waits; the answer is the same."""
    head = b"Content-Type: application/json\r\nContent-Length: 10000000\r\n\r\n"
    with crowded.taken() as inside, crowded.waiting(crowded.post + head) as connection:
        # All of it is taken though nobody reads.
        connection.sendall(b" " * 10_000_000)
        inside.close()
        answer = received(connection)

    assert answer.statuses == [413]


def test_a_refused_connection_is_closed_when_nothing_more_comes(alone: World) -> None:
    """Even when the body came after the answer to it."""
    with serving({**alone[2], "SERVER__KEEP_ALIVE_SECONDS": "1"}):
        crowded = Crowded(alone)
        with crowded.full(), connect(crowded.port) as connection:
            connection.sendall(crowded.post + b"Content-Length: 5\r\n\r\n")
            refused = received(connection)
            connection.sendall(b"{    ")
            after = received(connection)

    assert refused.statuses == [503]
    assert not refused.closed
    assert after == Answered(b"", closed=True)


def test_one_who_breaks_http_costs_the_others_nothing(alone: World) -> None:
    """They get their answers, and nothing is minted for who is gone."""
    patience = {"LIMITS__MAX_WAITING": "9", "LIMITS__MAX_WAIT_SECONDS": "1"}
    with serving({**alone[2], **patience}) as process:
        crowded = Crowded(alone)
        with crowded.taken() as inside, ExitStack() as stack:
            crowded.send((crowded.post + END) * 2, b"\x00\r\n\r\n")
            others = [stack.enter_context(connect(crowded.port)) for _ in range(3)]
            for other in others:
                other.sendall(crowded.post + END)
            answers = [received(other).statuses for other in others]
            crowded.send((crowded.post + END) * 2, b"\x00\r\n\r\n")
            inside.close()
        until(lambda: b"vault_bff_requests_waiting 0.0" in crowded.metrics())
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=20)

    assert answers == [[503]] * 3
    assert len(crowded.apideck.minted) == 0
    assert "Exception" not in out
    assert err == ""


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        (END, b"Connection: close\r\n" + END),
        (b"HTTP/1.1", b"HTTP/1.0"),
        (b"HTTP/1.1\r\n", b"HTTP/1.0\r\nConnection: keep-alive\r\n"),
    ],
)
def test_a_connection_that_is_to_end_ends(crowded: Crowded, was: bytes, becomes: bytes) -> None:
    """Nothing that follows on it is answered any more."""
    with crowded.full():
        answer = crowded.send((crowded.post + END).replace(was, becomes), crowded.post, END)

    assert answer.statuses == [503]
    assert answer.closed
    assert b"\r\nconnection: close\r\n" in answer.data


@pytest.mark.parametrize(
    "target",
    [
        b"/vault-session",
        b"/vault-session?a=b",
        b"/v%61ult-session",
        b"/vault-session%0a",
        b"http://service/vault-session",
    ],
)
def test_there_is_no_way_around_the_gate(crowded: Crowded, target: bytes) -> None:
    """However the target is spelled, whatever else is asked for, a session needs a place."""
    asking = crowded.post.replace(b"/vault-session", target)
    with crowded.full():
        plain = crowded.send(asking, END)
        expecting = crowded.send(asking, b"Expect: 100-continue\r\n", END)
        upgrading = crowded.send(asking, b"Connection: upgrade\r\nUpgrade: h2c\r\n", END)

    assert (plain.statuses, expecting.statuses, upgrading.statuses) == ([503], [503], [503])
    # Whether a body follows, nobody can know.
    assert expecting.closed


def test_everything_else_is_served_while_there_is_no_place(crowded: Crowded) -> None:
    """Probes, preflights and mistakes need none."""
    preflight = b"OPTIONS /vault-session HTTP/1.1\r\nHost: service\r\nOrigin: " + PAGE
    preflight += b"\r\nAccess-Control-Request-Method: POST\r\n\r\n"
    with crowded.full():
        probe = crowded.send(b"GET /livez HTTP/1.1\r\nHost: service\r\n\r\n")
        allowed = crowded.send(preflight)
        mistaken = crowded.send(crowded.post.replace(b"vault-session", b"livez"), END)

    assert (probe.statuses, allowed.statuses, mistaken.statuses) == ([200], [200], [405])


def test_who_is_refused_is_counted_and_told_of(alone: World) -> None:
    """Together, in a line a second, and in one at the end, however soon that comes."""
    with serving(alone[2]) as process:
        crowded = Crowded(alone)
        with crowded.full():
            for _ in range(2):
                assert crowded.send(crowded.post, END).statuses == [503]
            until(lambda: b'status="503"} 2.0' in crowded.metrics())
            seen = crowded.metrics()
            assert crowded.send(crowded.post, END).statuses == [503]
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=20)

    lines = [json.loads(line) for line in out.splitlines()]
    told = [line for line in lines if line["event"] == "vault_sessions_turned_away"]
    assert [line["count"] for line in told] == [2, 1]
    assert {line["problem"] for line in told} == {"overloaded"}
    assert {line["reason"] for line in told} == {"as many requests wait as may"}
    assert process.returncode == 0
    for sample in (
        b'http_requests_total{method="POST",route="/vault-session",status="503"} 2.0',
        b'sessions_total{caller_kind="unknown",outcome="failed",problem="overloaded"} 2.0',
        b"requests_shed_total 2.0",
    ):
        assert b"vault_bff_" + sample in seen


def test_who_waits_is_served_before_the_process_ends(alone: World) -> None:
    """And meanwhile nobody is accepted: a load balancer's next connection finds another."""
    crowded = Crowded(alone)

    def turned_off() -> bool:
        try:
            connect(crowded.port).close()
        except ConnectionRefusedError:
            return True
        return False

    with serving(alone[2]) as process:
        with crowded.full():
            process.send_signal(signal.SIGTERM)
            until(turned_off)
            assert process.poll() is None
        process.communicate(timeout=20)

    assert process.returncode == 0


def test_who_waits_for_longer_than_the_grace_lasts_is_told_so(alone: World) -> None:
    """There is an answer for everybody, and nothing is begun when all is torn down."""
    grace = {"SERVER__SHUTDOWN_GRACE_SECONDS": "1"}
    with serving({**alone[2], **grace}) as process:
        crowded = Crowded(alone)
        with crowded.taken() as inside, crowded.waiting(crowded.post + END) as waiting:
            asked = len(crowded.apideck.requests)
            process.send_signal(signal.SIGTERM)
            answers = [received(waiting), received(inside)]
            out, err = process.communicate(timeout=20)

    assert [answer.statuses for answer in answers] == [[503], [503]]
    assert all(b"/problems/shutting-down" in answer.data for answer in answers)
    assert "the process ends" in out
    assert len(crowded.apideck.requests) == asked
    assert err == ""
    assert process.returncode == 0
