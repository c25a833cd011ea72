"""An event is forwarded if its signature, its fields and its age are valid."""

import asyncio
import json
import threading
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from app.observability.metrics import Metrics
from app.observability.webhook_audit import DeliveryRecord
from app.settings.webhooks import WebhookSettings
from app.webhooks import service as service_module
from app.webhooks.errors import (
    InvalidEventError,
    InvalidSignatureError,
    RelayOverloadedError,
    StaleEventError,
    TargetFailedError,
    WebhookError,
)
from app.webhooks.relay import Relay, Target
from app.webhooks.service import WebhookService, WebhookSource
from app.webhooks.signature import MAX_BODY_BYTES, verify_sorted
from tests.support.apideck_events import (
    API_KEY,
    EVENT_ID,
    event,
    raw,
    sign,
    sorted_everywhere,
)

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
SECRET = "whsec_" + b64encode(b"n" * 32).decode()
PREVIOUS_KEY = "sk_live_previous"
BRAND_KEY = "sk_live_of_the_brand"


class Backends:
    """The service, with the backends of two Unify apps.

    Attributes:
        keys: the API keys of the default app, which a test can change.
        status: the status with which the backends respond.
        received: the requests to the backends, in order.
    """

    def __init__(self, **settings: Any) -> None:
        self.keys = [API_KEY]
        self.status = 204
        self.received: list[httpx.Request] = []
        sources = {
            "default": WebhookSource(frozenset({"app-2"}), lambda: self.keys, self._target("one")),
            "brand": WebhookSource(
                frozenset({"app-1"}), lambda: [BRAND_KEY, API_KEY], self._target("two")
            ),
        }
        relay = Relay(httpx.MockTransport(self._respond), 5, 32, lambda: NOW)
        self.service = WebhookService(
            WebhookSettings(**settings), sources, relay, Metrics(), lambda: NOW
        )

    async def receive(
        self, body: bytes, signature: str, unify_app: str = "default"
    ) -> DeliveryRecord:
        """Deliver a request, and return the record for its audit event."""
        record = DeliveryRecord(unify_app)
        await self.deliver(record, body, signature)
        return record

    async def deliver(self, record: DeliveryRecord, body: bytes, signature: str) -> None:
        """Deliver a request as the endpoint does."""
        await self.service.forward(record, await self.service.verify(record, signature, body))

    async def error(self, body: bytes, signature: str, unify_app: str = "default") -> WebhookError:
        """Return the error of a rejected request, and check that nothing was forwarded."""
        with pytest.raises(WebhookError) as error:
            await self.receive(body, signature, unify_app)
        assert self.received == []
        return error.value

    def _target(self, host: str) -> Target:
        return Target.build(f"https://{host}.example.com/hook", [SECRET])

    def _respond(self, request: httpx.Request) -> httpx.Response:
        self.received.append(request)
        return httpx.Response(self.status)


async def test_a_signed_event_is_forwarded() -> None:
    """The record for the audit event has the event, its consumer and the key."""
    backends = Backends()
    body = raw(event())

    record = await backends.receive(body, sign(body))

    assert record.outcome(204) == "forwarded"
    assert record == DeliveryRecord(
        "default", "current", EVENT_ID, "vault.connection.callable", "acme"
    )
    [request] = backends.received
    assert request.url.host == "one.example.com"
    assert request.content == body
    assert request.headers["webhook-id"] == EVENT_ID
    assert request.headers["webhook-timestamp"] == str(int(NOW.timestamp()))


async def test_the_sorted_form_is_forwarded_if_it_was_signed() -> None:
    """The target gets the bytes that the signature covers, not the received body."""
    backends = Backends()

    await backends.receive(raw(event()), sign(sorted_everywhere(event())))

    [request] = backends.received
    assert request.content == sorted_everywhere(event())


async def test_each_unify_app_has_its_own_keys_and_target() -> None:
    """An event of one app does not verify with the key of another app."""
    backends = Backends()
    body = raw(event())

    await backends.receive(body, sign(body, BRAND_KEY), "brand")

    [request] = backends.received
    assert request.url.host == "two.example.com"
    backends.received.clear()
    assert isinstance(await backends.error(body, sign(body, BRAND_KEY)), InvalidSignatureError)


async def test_keys_are_read_for_each_event() -> None:
    """After a change, both keys are accepted until the previous key is removed."""
    backends = Backends()
    body = raw(event())

    backends.keys = ["sk_live_new", API_KEY]
    assert (await backends.receive(body, sign(body))).key == "previous"
    assert (await backends.receive(body, sign(body, "sk_live_new"))).key == "current"
    backends.received.clear()
    backends.keys = ["sk_live_new"]
    assert isinstance(await backends.error(body, sign(body)), InvalidSignatureError)


@pytest.mark.parametrize("signature", ["", "0" * 64, sign(raw(event()), "guessed")])
async def test_an_event_without_a_valid_signature_is_rejected(signature: str) -> None:
    """The attack: an attacker without the key creates an event."""
    error = await Backends().error(raw(event()), signature)
    assert isinstance(error, InvalidSignatureError)
    assert error.detail == "The signature is not valid."


async def test_a_rejected_event_adds_no_fields_to_the_audit_event() -> None:
    """Unsigned fields are not used, not even in the log."""
    record = DeliveryRecord("default")
    with pytest.raises(InvalidSignatureError):
        await Backends().deliver(record, raw(event()), "0" * 64)
    assert record == DeliveryRecord("default")


async def test_an_invalid_event_is_rejected() -> None:
    """A valid signature is not enough."""
    body = raw(event(event_id="a.b"))
    assert isinstance(await Backends().error(body, sign(body)), InvalidEventError)


@pytest.mark.parametrize("hours", [1, 168, 720])
async def test_a_recorded_event_is_rejected_after_the_age_limit(hours: int) -> None:
    """The attack: the event is sent again, and would be signed with the current time."""
    backends = Backends(max_age_hours=hours)
    limit = NOW - timedelta(hours=hours)
    old = raw(event(occurred_at=(limit - timedelta(seconds=1)).isoformat()))
    assert isinstance(await backends.error(old, sign(old)), StaleEventError)
    young = raw(event(occurred_at=limit.isoformat()))
    assert (await backends.receive(young, sign(young))).outcome(204) == "forwarded"


async def test_the_same_event_twice_has_the_same_id() -> None:
    """The attack: a replay within the age limit. The receiver recognizes it by its id."""
    backends = Backends()
    signature = sign(sorted_everywhere(event()))
    for body in (raw(event()), sorted_everywhere(event()), json.dumps(event()).encode()):
        await backends.receive(body, signature)
    assert {request.headers["webhook-id"] for request in backends.received} == {EVENT_ID}
    assert len({request.content for request in backends.received}) == 1


async def test_an_event_of_another_unify_app_is_rejected() -> None:
    """The attack: the event is sent to the endpoint of another app with the same API key."""
    body = event()
    body["payload"]["entity"]["application_id"] = "app-1"
    content = raw(body)
    error = await Backends().error(content, sign(content), "brand")
    assert isinstance(error, InvalidEventError)
    assert error.detail == "The event belongs to another Unify app."


@pytest.mark.parametrize("application_id", ["app-1", "1111", None])
async def test_an_application_id_that_no_other_unify_app_has_is_accepted(
    application_id: str | None,
) -> None:
    """Apideck's examples contain ids that belong to no app."""
    body = event()
    body["payload"]["entity"]["application_id"] = application_id
    content = raw(body)
    assert (await Backends().receive(content, sign(content))).outcome(204) == "forwarded"


@pytest.mark.parametrize(
    ("content", "expected", "event_type"),
    [
        (b"", "validation-request", None),
        (b'{"test":true}', "validation-request", None),
        (raw(event(event_type="crm.contact.created")), "unwanted-type", "crm.contact.created"),
    ],
)
async def test_ignored_requests_are_acknowledged_and_not_forwarded(
    content: bytes, expected: str, event_type: str | None
) -> None:
    """Apideck must not deliver them again."""
    backends = Backends()
    record = await backends.receive(content, sign(content))
    assert (record.outcome(204), record.ignored) == ("ignored", expected)
    assert (record.key, record.event_type) == ("current", event_type)
    assert backends.received == []


async def test_an_unsigned_validation_request_is_rejected() -> None:
    """No request is acknowledged without a signature."""
    assert isinstance(await Backends().error(b"", "0" * 64), InvalidSignatureError)


async def test_a_failing_target_is_not_hidden_from_apideck() -> None:
    """The audit event has the id of the event, and Apideck delivers the event again."""
    backends = Backends()
    backends.status = 500
    record = DeliveryRecord("default")
    body = raw(event())
    with pytest.raises(TargetFailedError):
        await backends.deliver(record, body, sign(body))
    assert record.event_id == EVENT_ID


async def test_a_forged_body_does_not_block_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """The attack: bodies that take long to sort. Bodies of every size are sorted in a thread."""
    in_main_thread: list[bool] = []

    def verify(*args: Any) -> Any:
        in_main_thread.append(threading.current_thread() is threading.main_thread())
        return verify_sorted(*args)

    monkeypatch.setattr(service_module, "verify_sorted", verify)
    backends = Backends()
    assert isinstance(await backends.error(b"[]", "0" * 64), InvalidSignatureError)
    assert isinstance(await backends.error(b" " * MAX_BODY_BYTES, "0" * 64), InvalidSignatureError)
    body = raw(event())
    await backends.receive(body, sign(body))
    assert in_main_thread == [False, False]


async def test_forged_bodies_do_not_block_signed_events(monkeypatch: pytest.MonkeyPatch) -> None:
    """The attack: forged bodies fill the queue for sorting. Only further forged ones get a 503."""
    release = threading.Event()

    def verify(*_: Any) -> None:
        assert release.wait(60)

    monkeypatch.setattr(service_module, "verify_sorted", verify)
    backends = Backends()
    forged = [asyncio.create_task(backends.receive(b"[]", "0" * 64)) for _ in range(64)]
    try:
        await asyncio.sleep(0)  # Each task takes its slot.
        body = raw(event())
        assert (await backends.receive(body, sign(body))).outcome(204) == "forwarded"
        backends.received.clear()
        async with asyncio.timeout(20):
            assert isinstance(await backends.error(b"[]", "0" * 64), RelayOverloadedError)
    finally:
        release.set()
        errors = await asyncio.gather(*forged, return_exceptions=True)
    assert {type(error) for error in errors} == {InvalidSignatureError}
    assert isinstance(await backends.error(b"[]", "0" * 64), InvalidSignatureError)
