"""More requests than the process has slots for, over raw sockets against the real process."""

import json
import re
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from emulators.apideck import ApideckEmulator
from emulators.apideck.faults import Broken, Slow
from emulators.issuer import DevelopmentIssuer
from tests.support.ports import free_ports
from tests.support.process import environment_for, serving, until
from tests.support.raw import Received, connect, exchange, received

POST = b"POST /vault-session HTTP/1.1\r\nHost: service\r\n"
END = b"Content-Length: 0\r\n\r\n"
ALIVE = b"GET /livez HTTP/1.1\r\nHost: service\r\n\r\n"
METRICS = b"GET /metrics HTTP/1.1\r\nHost: service\r\nConnection: close\r\n\r\n"
PAGE, FOREIGN = b"https://app.example.com", b"https://evil.example"

Setup = tuple[DevelopmentIssuer, ApideckEmulator, dict[str, str]]
"""An issuer, Apideck, and the environment of the service."""


class Service:
    """A service with one slot, and a queue for one request."""

    def __init__(self, setup: Setup) -> None:
        issuer, self.apideck, environment = setup
        self.port = int(environment["SERVER__PORT"])
        self.post = POST + f"Authorization: Bearer {issuer.token()}\r\n".encode()

    @contextmanager
    def slot_taken(self) -> Iterator[socket.socket]:
        """Occupy the slot; yields the connection that occupies it until it is closed."""
        before = len(self.apideck.requests)
        self.apideck.fail(Broken("hang"))
        with connect(self.port) as running:
            running.sendall(self.post + END)
            until(lambda: len(self.apideck.requests) > before)
            yield running

    @contextmanager
    def full(self) -> Iterator[socket.socket]:
        """Occupy the slot, and queue another request; yields the connection of that request."""
        with self.slot_taken() as running, self.waiting(self.post + END) as waiting:
            yield waiting
            running.close()
            assert received(waiting).statuses == [201]

    @contextmanager
    def waiting(self, request: bytes) -> Iterator[socket.socket]:
        """Queue a request; yields its connection."""
        with connect(self.port) as connection:
            connection.sendall(request)
            until(lambda: self.count_waiting() == 1)
            yield connection

    def send(self, *parts: bytes) -> Received:
        """Send the parts as one request, and return what arrives."""
        return exchange(self.port, *parts)

    def count_waiting(self) -> float:
        """Return the number of queued requests."""
        return self.metric('vault_bff_requests_waiting{queue="sessions"}')

    def count_abandoned(self, caller_kind: str) -> float:
        """Return how many requests of this kind of caller were abandoned."""
        labels = f'caller_kind="{caller_kind}",outcome="abandoned",problem="none"'
        return self.metric(f"vault_bff_sessions_total{{{labels}}}")

    def metric(self, sample: str) -> float:
        """Return the value of a sample; 0 if it does not exist."""
        page = self.send(METRICS).data.decode()
        found = re.search(rf"^{re.escape(sample)} (\S+)$", page, re.MULTILINE)
        return float(found[1]) if found else 0


def parts_of(response: Received) -> tuple[dict[str, str], dict[str, Any]]:
    """Return the headers and the body of a response, without the parts that always differ."""
    headers, body = response.headers, response.json
    assert headers.pop("x-request-id") == body.pop("request_id")
    assert int(headers.pop("content-length")) == len(response.data.partition(b"\r\n\r\n")[2])
    del headers["date"]
    return headers, body


@pytest.fixture(scope="module")
def setup() -> Iterator[Setup]:
    """Run an issuer and Apideck; yields them and the environment of a service with one slot."""
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
def _process(setup: Setup) -> Iterator[Service]:
    _, _, environment = setup
    with serving({**environment, "LOG__LEVEL": "error", "SERVER__RECEIVE_TIMEOUT_SECONDS": "2"}):
        yield Service(setup)


@pytest.fixture
def service(_process: Service) -> Iterator[Service]:
    """Return the running service; after each test it must still create a session."""
    _process.apideck.reset()
    yield _process
    _process.apideck.reset()
    assert _process.send(_process.post, END).statuses == [201]


@pytest.fixture
def own_setup(setup: Setup) -> Setup:
    """Return a setup with another port, for a process that the test starts and stops."""
    issuer, apideck, environment = setup
    apideck.reset()
    return issuer, apideck, {**environment, "SERVER__PORT": str(free_ports())}


@pytest.mark.parametrize("origin", [None, PAGE, FOREIGN])
def test_a_rejection_has_the_headers_of_every_response(
    service: Service, origin: bytes | None
) -> None:
    """It has the headers of the app's other errors, so that the same pages can read it."""
    page = b"Origin: " + origin + b"\r\n" if origin else b""
    unauthenticated, _ = parts_of(service.send(POST, page, END))
    with service.full():
        headers, body = parts_of(service.send(service.post, page, END))

    assert body["type"] == "/problems/overloaded"
    assert headers.pop("retry-after") == "1"
    assert headers["content-type"] == "application/problem+json"
    assert ("access-control-allow-origin" in headers) == (origin == PAGE)
    assert "www-authenticate" in unauthenticated.keys() - headers.keys()
    del unauthenticated["www-authenticate"]
    assert headers == unauthenticated


def test_a_rejection_keeps_the_request_id(service: Service) -> None:
    """The response has the client's request id if it is valid, otherwise a new one."""
    with service.full():
        valid = service.send(service.post, b"X-Request-Id: callers-own-1\r\n", END)
        invalid = service.send(service.post, b'X-Request-Id: "},{"\r\n', END)

    assert valid.headers["x-request-id"] == valid.json["request_id"] == "callers-own-1"
    assert invalid.headers["x-request-id"] == invalid.json["request_id"]
    assert len(invalid.json["request_id"]) == 32


@pytest.mark.parametrize(
    "body",
    [
        b"Content-Length: %d\r\n\r\n%b" % (len(ALIVE), ALIVE),
        b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(ALIVE), ALIVE),
    ],
    ids=["length", "chunks"],
)
def test_the_body_of_a_rejected_request_is_not_parsed_as_a_request(
    service: Service, body: bytes
) -> None:
    """The body is skipped, and the next request on the connection is served."""
    with connect(service.port) as connection:
        with service.full():
            connection.sendall(service.post + b"Content-Type: application/json\r\n" + body)
            rejected = received(connection)
        connection.sendall(service.post + END)
        served = received(connection)

    assert rejected.statuses == [503]
    assert served.statuses == [201]


def test_a_body_that_arrives_while_queued_is_read_later(service: Service) -> None:
    """The endpoint gets the complete body, of which a part arrived with the headers."""
    body = b'{"redirect_uri":"https://unregistered.example"}'
    head = b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    with (
        service.slot_taken() as running,
        service.waiting(service.post + head + body[:9]) as connection,
    ):
        connection.sendall(body[9:])
        running.close()
        response = received(connection)

    assert response.statuses == [403]
    assert b"/problems/redirect-not-allowed" in response.data


def test_a_queued_request_is_removed_when_its_client_disconnects(service: Service) -> None:
    """It takes no slot, and is counted as abandoned by an unknown kind of caller."""
    running_before = service.count_abandoned("user")
    waiting_before = service.count_abandoned("unknown")
    with service.slot_taken() as running:
        with service.waiting(service.post + END):
            pass
        until(lambda: service.count_waiting() == 0)
        running.close()
        response = service.send(service.post, END)

    assert response.statuses == [201]
    until(lambda: service.count_abandoned("user") == running_before + 1)
    assert service.count_abandoned("unknown") == waiting_before + 1


def test_pipelined_requests_get_their_responses_in_order(service: Service) -> None:
    """A rejection is sent only after the responses to earlier requests on the connection."""
    with connect(service.port) as connection:
        with service.full():
            connection.sendall((service.post + END) * 2 + ALIVE)
            rejected = received(connection)
        service.apideck.fail(Slow(0.5), times=2)
        connection.sendall((service.post + END) * 2)
        served = received(connection, quiet_seconds=2)

    assert rejected.statuses == [503, 503, 200]
    assert served.statuses == [201, 201]


def test_pipelined_requests_are_each_rejected(service: Service) -> None:
    """The connection then serves the next request."""
    with connect(service.port) as connection:
        with service.full():
            connection.sendall((POST + END) * 9)
            rejected = received(connection, quiet_seconds=1)
        connection.sendall(service.post + END)
        served = received(connection)

    assert rejected.statuses == [503] * 9
    assert served.statuses == [201]


def test_the_number_of_pipelined_requests_is_bounded(service: Service) -> None:
    """A client that sends ten requests at once is disconnected."""
    with service.slot_taken() as running:
        response = service.send((service.post + END) * 10)
        running.close()

    assert (response.statuses, response.closed) == ([], True)


def test_a_client_that_never_reads_responses_is_disconnected(service: Service) -> None:
    """Otherwise its responses would use up the memory."""
    with (
        service.full(),
        connect(service.port, timeout=20, receive_buffer_bytes=4096) as connection,
        pytest.raises(ConnectionError),
    ):
        connection.sendall((POST + END) * 100_000)


def test_a_body_beyond_the_limit_is_not_kept_in_the_queue(service: Service) -> None:
    """The whole body is received, and the response is a 413, as without a queue."""
    head = b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    with service.slot_taken() as running, service.waiting(service.post + head) as connection:
        for _ in range(100):
            connection.sendall(b"186a0\r\n" + b" " * 100_000 + b"\r\n")
        running.close()
        response = received(connection)

    assert response.statuses == [413]


def test_an_idle_connection_is_closed_after_a_rejection(own_setup: Setup) -> None:
    """This also holds if the body of the rejected request arrives after the response."""
    with serving({**own_setup[2], "SERVER__KEEP_ALIVE_SECONDS": "1"}):
        service = Service(own_setup)
        with service.full(), connect(service.port) as connection:
            connection.sendall(service.post + b"Content-Length: 5\r\n\r\n")
            rejected = received(connection)
            connection.sendall(b"{    ")
            after = received(connection)

    assert rejected.statuses == [503]
    assert not rejected.closed
    assert after == Received(b"", closed=True)


def test_malformed_http_affects_only_the_requests_of_its_connection(own_setup: Setup) -> None:
    """Other clients get their responses, and none of its requests creates a session."""
    limits = {"LIMITS__MAX_WAITING": "9", "LIMITS__MAX_WAIT_SECONDS": "1"}
    with serving({**own_setup[2], **limits}) as process:
        service = Service(own_setup)
        with service.slot_taken() as running, ExitStack() as stack:
            service.send((service.post + END) * 2, b"\x00\r\n\r\n")
            others = [stack.enter_context(connect(service.port)) for _ in range(3)]
            for other in others:
                other.sendall(service.post + END)
            statuses = [received(other).statuses for other in others]
            service.send((service.post + END) * 2, b"\x00\r\n\r\n")
            running.close()
        until(lambda: service.count_waiting() == 0)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=20)

    assert statuses == [[503]] * 3
    assert len(service.apideck.minted) == 0
    assert "Exception" not in out
    assert err == ""


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (END, b"Connection: close\r\n" + END),
        (b"HTTP/1.1", b"HTTP/1.0"),
        (b"HTTP/1.1\r\n", b"HTTP/1.0\r\nConnection: keep-alive\r\n"),
    ],
)
def test_a_rejection_closes_the_connection_when_any_response_would(
    service: Service, old: bytes, new: bytes
) -> None:
    """Further requests on the connection are not processed."""
    with service.full():
        response = service.send((service.post + END).replace(old, new), service.post, END)

    assert response.statuses == [503]
    assert response.closed
    assert response.headers["connection"] == "close"


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
def test_no_spelling_of_the_target_bypasses_the_queue(service: Service, target: bytes) -> None:
    """Headers do not bypass it either: every request that reaches the endpoint needs a slot."""
    post = service.post.replace(b"/vault-session", target)
    with service.full():
        plain = service.send(post, END)
        expecting = service.send(post, b"Expect: 100-continue\r\n", END)
        upgrading = service.send(post, b"Connection: upgrade\r\nUpgrade: h2c\r\n", END)

    assert (plain.statuses, expecting.statuses, upgrading.statuses) == ([503], [503], [503])
    # The client may omit the body that it announced, so no other request can follow.
    assert expecting.closed


def test_other_requests_need_no_slot(service: Service) -> None:
    """Probes, preflights and invalid methods get their responses while the queue is full."""
    preflight = b"OPTIONS /vault-session HTTP/1.1\r\nHost: service\r\nOrigin: " + PAGE
    preflight += b"\r\nAccess-Control-Request-Method: POST\r\n\r\n"
    with service.full():
        probe = service.send(ALIVE)
        allowed = service.send(preflight)
        invalid = service.send(service.post.replace(b"vault-session", b"livez"), END)

    assert (probe.statuses, allowed.statuses, invalid.statuses) == ([200], [200], [405])


def test_rejections_are_counted_in_the_metrics_and_in_one_event(own_setup: Setup) -> None:
    """Rejections with the same result share one event, with their number and the reason."""
    with serving(own_setup[2]) as process:
        service = Service(own_setup)
        with service.full():
            responses = [service.send(service.post, END) for _ in range(3)]
            sample = "vault_bff_http_requests_total"
            assert (
                service.metric(f'{sample}{{method="POST",route="/vault-session",status="503"}}')
                == 3
            )
            labels = 'caller_kind="unknown",outcome="failed",problem="overloaded"'
            assert service.metric(f"vault_bff_sessions_total{{{labels}}}") == 3
            assert service.metric('vault_bff_requests_shed_total{queue="sessions"}') == 3
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=20)

    request_ids = {response.headers["x-request-id"] for response in responses}
    events = [json.loads(line) for line in out.splitlines()]
    assert not request_ids & {event.get("request_id") for event in events}
    summaries = [one for one in events if one["event"] == "vault_sessions_turned_away"]
    overloaded = [one for one in summaries if one["problem"] == "overloaded"]
    assert sum(one["count"] for one in overloaded) == 3
    assert {(one["outcome"], one["reason"]) for one in overloaded} == {
        ("failed", "the queue is full")
    }
    assert process.returncode == 0


def test_a_queued_request_is_served_before_the_process_exits(own_setup: Setup) -> None:
    """Meanwhile no connection is accepted, so the load balancer uses other replicas."""
    service = Service(own_setup)

    def is_closed() -> bool:
        try:
            connect(service.port).close()
        except ConnectionRefusedError:
            return True
        return False

    with serving(own_setup[2]) as process:
        with service.full():
            process.send_signal(signal.SIGTERM)
            until(is_closed)
            assert process.poll() is None
        process.communicate(timeout=20)

    assert process.returncode == 0


def test_a_request_that_is_queued_after_the_grace_period_is_rejected(own_setup: Setup) -> None:
    """Every request gets a response, and no request to Apideck is sent during the shutdown."""
    grace = {"SERVER__SHUTDOWN_GRACE_SECONDS": "1"}
    with serving({**own_setup[2], **grace}) as process:
        service = Service(own_setup)
        with service.slot_taken() as running, service.waiting(service.post + END) as waiting:
            sent = len(service.apideck.requests)
            process.send_signal(signal.SIGTERM)
            responses = [received(waiting), received(running)]
            out, err = process.communicate(timeout=20)

    assert [response.statuses for response in responses] == [[503], [503]]
    assert all(b"/problems/shutting-down" in response.data for response in responses)
    events = [json.loads(line) for line in out.splitlines()]
    audit = [event for event in events if event["event"] == "vault_session_failed"]
    assert [(event["problem"], event["subject"]) for event in audit] == [("shutting-down", "ada")]
    turned_away = [event for event in events if event["event"] == "vault_sessions_turned_away"]
    assert [(event["problem"], event["count"]) for event in turned_away] == [("shutting-down", 1)]
    assert len(service.apideck.requests) == sent
    assert err == ""
    assert process.returncode == 0
