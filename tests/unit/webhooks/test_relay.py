import asyncio
import hmac
from base64 import b64encode
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from http import HTTPStatus

import httpx
import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from app.common.transport import AiohttpTransport
from app.webhooks.errors import (
    RelayOverloadedError,
    TargetFailedError,
    TargetTimeoutError,
    WebhookError,
)
from app.webhooks.relay import Relay, Target
from tests.support import webhook_target as targets
from tests.support.apideck_events import EVENT_ID, event, raw
from tests.support.webhook_target import Respond, webhook_target

SECRET = "whsec_" + b64encode(b"n" * 32).decode()
OLD_SECRET = "whsec_" + b64encode(b"o" * 24).decode()
OTHER_SECRET = "whsec_" + b64encode(b"x" * 32).decode()
CONTENT = raw(event())


@pytest.fixture
async def transport() -> AsyncIterator[AiohttpTransport]:
    """Return the transport that the service uses."""
    async with AiohttpTransport() as transport:
        yield transport


async def test_the_target_gets_the_signed_bytes_with_a_standard_signature(
    transport: AiohttpTransport,
) -> None:
    """Any Standard Webhooks library verifies it with the operator's secret."""
    async with webhook_target(targets.status(204)) as target:
        await Relay(transport, 5, 1).forward(Target.build(target.url, [SECRET]), EVENT_ID, CONTENT)
    [received] = target.received
    assert received.line == "POST /webhooks HTTP/1.1"
    assert received.body == CONTENT
    assert received.headers["webhook-id"] == EVENT_ID
    assert received.headers["content-type"] == "application/json"
    assert received.headers["user-agent"] == "vault-bff"
    assert Webhook(SECRET).verify(received.body, received.headers) == event()
    with pytest.raises(WebhookVerificationError):
        Webhook(OTHER_SECRET).verify(received.body, received.headers)


async def test_the_target_gets_these_headers_and_no_others(transport: AiohttpTransport) -> None:
    """Only the content of Apideck's request is forwarded, and the API key is not."""
    async with webhook_target(targets.status(200)) as target:
        await Relay(transport, 5, 1).forward(Target.build(target.url, [SECRET]), EVENT_ID, CONTENT)
    [received] = target.received
    names = "host content-type content-length user-agent accept accept-encoding"
    assert set(received.headers) == {
        *names.split(),
        "webhook-id",
        "webhook-timestamp",
        "webhook-signature",
    }


@pytest.mark.parametrize("secret", [SECRET, OLD_SECRET])
async def test_both_secrets_sign_during_a_rotation(
    transport: AiohttpTransport, secret: str
) -> None:
    """A receiver with either secret can verify the event."""
    async with webhook_target(targets.status(200)) as target:
        await Relay(transport, 5, 1).forward(
            Target.build(target.url, [SECRET, OLD_SECRET]), EVENT_ID, CONTENT
        )
    [received] = target.received
    assert Webhook(secret).verify(received.body, received.headers) == event()


def test_the_signature_is_that_of_the_specification() -> None:
    """The signed text is the id, the time in seconds and the content, separated by dots."""
    now = datetime(2026, 11, 30, 12, 0, 0, 900_000, tzinfo=UTC)
    request = Target.build("https://app.example.com/hook", [SECRET]).request("evt_1", b"{}", now)
    assert request.headers["webhook-timestamp"] == "1796040000"
    digest = hmac.digest(b"n" * 32, b"evt_1.1796040000.{}", "sha256")
    assert request.headers["webhook-signature"] == f"v1,{b64encode(digest).decode()}"
    assert request.content == b"{}"


@pytest.mark.parametrize("code", [200, 201, 202, 204, 299])
async def test_every_2xx_acknowledges_the_event(transport: AiohttpTransport, code: int) -> None:
    """The body of the response is not used."""
    body = b"" if code == HTTPStatus.NO_CONTENT else b"thanks" * 1000
    async with webhook_target(targets.status(code, body=body)) as target:
        await Relay(transport, 5, 1).forward(Target.build(target.url, [SECRET]), EVENT_ID, CONTENT)


@pytest.mark.parametrize("code", [300, 304, 400, 401, 404, 410, 429, 500, 503])
async def test_every_other_status_is_a_failure(transport: AiohttpTransport, code: int) -> None:
    """The event is not lost, because Apideck delivers it again."""
    async with webhook_target(targets.status(code)) as target:
        reason = await failure(Relay(transport, 5, 1), target.url)
    assert reason == f"the target responded with {code}"


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
async def test_redirects_are_not_followed(transport: AiohttpTransport, code: int) -> None:
    """The attack: a redirect sends data of customers, with a valid signature, to another host."""
    async with webhook_target(targets.status(200)) as elsewhere:
        redirect = targets.status(code, f"location: {elsewhere.url}\r\n")
        async with webhook_target(redirect) as target:
            reason = await failure(Relay(transport, 5, 1), target.url)
    assert reason == f"the target responded with {code}"
    assert len(target.received) == 1
    assert elsewhere.received == []


@pytest.mark.parametrize(
    ("respond", "expected"),
    [(targets.hang_up, "RemoteProtocolError"), (targets.status(99), "RemoteProtocolError")],
)
async def test_a_broken_response_is_a_failure(
    transport: AiohttpTransport, respond: Respond, expected: str
) -> None:
    """The reason names the kind of fault, but neither the event nor the target."""
    async with webhook_target(respond) as target:
        assert await failure(Relay(transport, 5, 1), target.url) == expected
    assert len(target.received) == 1


async def test_a_target_that_cannot_be_reached_is_a_failure(
    transport: AiohttpTransport, unused_tcp_port: int
) -> None:
    """No process listens on the port."""
    url = f"http://127.0.0.1:{unused_tcp_port}/"
    assert await failure(Relay(transport, 5, 1), url) == "connection refused"


async def test_a_target_that_does_not_respond_times_out(transport: AiohttpTransport) -> None:
    """Apideck gets a response before its own timeout."""
    async with webhook_target(targets.no_response) as target:
        relay = Relay(transport, 0.05, 1)
        with pytest.raises(TargetTimeoutError) as error:
            await relay.forward(Target.build(target.url, [SECRET]), EVENT_ID, CONTENT)
    assert error.value.reason == "no response within 0.05 s"
    assert error.value.detail == (
        "The endpoint that events are forwarded to did not respond in time."
    )
    assert relay.in_flight == 0


async def test_an_endless_response_does_not_delay_the_acknowledgement(
    transport: AiohttpTransport,
) -> None:
    """Only the status is read, and the connection is closed."""
    async with webhook_target(targets.endless_body) as target, asyncio.timeout(5):
        await Relay(transport, 60, 1).forward(Target.build(target.url, [SECRET]), EVENT_ID, CONTENT)


async def test_a_connection_is_reused(transport: AiohttpTransport) -> None:
    """Successive events need no new TLS handshake."""
    async with webhook_target(targets.status(200)) as target:
        relay = Relay(transport, 5, 1)
        for _ in range(3):
            await relay.forward(Target.build(target.url, [SECRET]), EVENT_ID, CONTENT)
    assert target.connections == 1


class Gate(httpx.AsyncBaseTransport):
    """Responds to every request once the test opens it.

    Attributes:
        opened: set this to let all requests pass.
        arrived: is released once for each request.
    """

    def __init__(self) -> None:
        self.opened = asyncio.Event()
        self.arrived = asyncio.Semaphore(0)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Wait, and respond with a 200."""
        self.arrived.release()
        await self.opened.wait()
        return httpx.Response(200, request=request)


async def test_the_number_of_concurrent_events_is_limited() -> None:
    """Further events are rejected at once, and finished events free their slots."""
    gate = Gate()
    relay = Relay(gate, 5, 2)
    target = Target.build("https://app.example.com/hook", [SECRET])
    forwarding = [asyncio.create_task(relay.forward(target, "a", CONTENT)) for _ in range(2)]
    for _ in forwarding:
        await gate.arrived.acquire()

    assert relay.in_flight == 2
    with pytest.raises(RelayOverloadedError) as error:
        await relay.forward(target, "b", CONTENT)
    assert error.value.reason == "2 events are being forwarded to this target"
    assert error.value.detail == "Too many events are being received."
    assert gate.arrived.locked()

    gate.opened.set()
    await asyncio.gather(*forwarding)
    await relay.forward(target, "c", CONTENT)
    assert relay.in_flight == 0


async def test_a_slow_target_takes_no_slot_from_another() -> None:
    """When all slots of one backend are in use, another backend still gets its events."""
    gate = Gate()
    relay = Relay(gate, 5, 1)
    slow, other = (Target.build(f"https://{host}/hook", [SECRET]) for host in ("slow", "other"))
    forwarding = [asyncio.create_task(relay.forward(one, "a", CONTENT)) for one in (slow, other)]
    for _ in forwarding:
        await gate.arrived.acquire()

    assert relay.in_flight == 2
    for target in (slow, other):
        with pytest.raises(RelayOverloadedError):
            await relay.forward(target, "b", CONTENT)
    gate.opened.set()
    await asyncio.gather(*forwarding)


async def test_a_cancelled_request_frees_its_slot() -> None:
    """For example, Apideck has disconnected, or the process is shutting down."""
    gate = Gate()
    relay = Relay(gate, 5, 1)
    target = Target.build("https://app.example.com/hook", [SECRET])
    forwarding = asyncio.create_task(relay.forward(target, "a", CONTENT))
    await gate.arrived.acquire()

    forwarding.cancel()
    await asyncio.wait([forwarding])
    assert relay.in_flight == 0


def test_secrets_do_not_appear_in_a_repr() -> None:
    """A target may be logged."""
    assert "whsec_" not in repr(Target.build("https://app.example.com/hook", [SECRET]))


async def failure(relay: Relay, url: str) -> str | None:
    """Return the reason why an event could not be forwarded."""
    with pytest.raises(TargetFailedError) as error:
        await relay.forward(Target.build(url, [SECRET]), EVENT_ID, CONTENT)
    assert isinstance(error.value, WebhookError)
    assert error.value.detail == "The endpoint that events are forwarded to failed."
    return error.value.reason
