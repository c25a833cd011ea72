"""Attacks on the webhook endpoint; each test asserts what the target received."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.webhooks.signature import MAX_BODY_BYTES
from emulators.apideck.emulator import API_KEY
from tests.support.apideck_events import EVENT_ID, event, sign, sorted_everywhere
from tests.support.events_service import PATH, SIGNING_SECRET, delivering, fresh_event
from tests.support.http import problem
from tests.support.service import APP_ID
from tests.support.webhook_target import status, webhook_target

OTHER_KEY = "sk_live_of_the_brand"
TWO_APPS: dict[str, Any] = {
    "apideck": {"unify_apps": {"brand": {"api_key": OTHER_KEY, "app_id": "brand"}}}
}


def nested(depth: int) -> bytes:
    """Return an event with nested lists."""
    opened, closed = "[" * depth, "]" * depth
    return fresh_event().replace(
        b'"entity_type"', f'"deep": {opened}{closed}, "entity_type"'.encode()
    )


def altered(body: bytes) -> dict[str, bytes]:
    """Return altered bodies, by the kind of change."""
    parsed = json.loads(body)
    doubled = body.replace(b'"payload"', b'"payload": {"event_id": "x"}, "payload"', 1)
    return {
        "another consumer": body.replace(b'"acme"', b'"globex"'),
        "another type": body.replace(b"connection.callable", b"connection.deleted"),
        "another id": body.replace(EVENT_ID.encode(), b"0" * 36),
        "a later time": body.replace(b"occurred_at", b"occurred_at_"),
        "one more byte": body + b" x",
        "one more field": json.dumps({**parsed, "more": 1}).encode(),
        "a duplicate key": doubled,
        "nothing": b"",
    }


@pytest.mark.parametrize("signed_form", ["raw", "sorted"])
@pytest.mark.parametrize("change", sorted(altered(fresh_event())))
async def test_an_altered_event_is_not_forwarded(change: str, signed_form: str) -> None:
    """The attack: a recorded signature with another body."""
    body = fresh_event()
    content = body if signed_form == "raw" else sorted_everywhere(json.loads(body))
    async with delivering() as service:
        response = await service.deliver(altered(body)[change], sign(content, API_KEY))

        assert problem(response) == (401, "invalid-signature")
        assert service.target.received == []


@pytest.mark.parametrize("key", [OTHER_KEY, SIGNING_SECRET, API_KEY[:-1], API_KEY.upper(), " "])
async def test_an_event_that_is_signed_with_another_key_is_not_forwarded(key: str) -> None:
    """The attack: someone signs the body with another key, for example a customer's own."""
    body = fresh_event()
    async with delivering(**TWO_APPS) as service:
        for encoding in ("hex", "base64"):
            response = await service.deliver(body, sign(body, key, encoding))
            assert problem(response) == (401, "invalid-signature")
        assert service.target.received == []


@pytest.mark.parametrize(
    "header",
    [
        {"x-apideck-idempotency-key": "11111111-2222-3333-4444-555555555555"},
        {"x-apideck-event-type": "vault.connection.deleted"},
        {"webhook-id": "mine", "webhook-timestamp": "1", "webhook-signature": "v1,mine"},
    ],
    ids=lambda header: next(iter(header)),
)
async def test_a_replayed_event_keeps_its_id_whatever_its_headers_say(
    header: dict[str, str],
) -> None:
    """The attack: a recorded delivery is sent again as if it were a new one."""
    body = fresh_event()
    signed = {"x-apideck-signature": sign(body, API_KEY)}
    async with delivering() as service:
        for headers in (signed, {**signed, **header}):
            assert (await service.http.post(PATH, content=body, headers=headers)).status_code == 204

        assert [one["event_id"] for one in service.verified()] == [EVENT_ID, EVENT_ID]
        assert {one.headers["webhook-id"] for one in service.target.received} == {EVENT_ID}
        assert len({one.body for one in service.target.received}) == 1


async def test_an_old_event_is_not_made_to_look_new() -> None:
    """The attack: a delivery that was recorded long ago; its new timestamp would be current."""
    old = datetime.now(UTC) - timedelta(hours=169)
    async with delivering() as service:
        response = await service.deliver(fresh_event(occurred_at=old.isoformat()))

        assert problem(response) == (422, "stale-event")
        assert service.target.received == []


@pytest.mark.parametrize("event_id", ["a\r\nx-injected: 1", "a.b", "", "x" * 129, "é", 7, None])
async def test_an_id_that_could_forge_a_header_is_not_forwarded(event_id: Any) -> None:
    """The attack: a signed id that ends the header, or shifts the parts that are signed."""
    async with delivering() as service:
        response = await service.deliver(fresh_event(event_id=event_id))

        assert problem(response) == (422, "invalid-event")
        assert service.target.received == []


@pytest.mark.parametrize("depth", [65, 1_000, 60_000])
@pytest.mark.parametrize("signed", [True, False])
async def test_a_deeply_nested_event_is_not_forwarded(depth: int, *, signed: bool) -> None:
    """The attack: JSON that exhausts the stack of a parser."""
    body = nested(depth)
    async with delivering() as service:
        response = await service.deliver(body, None if signed else "0" * 64)

        assert response.status_code == (422 if signed else 401)
        assert service.target.received == []
        assert (await service.deliver(fresh_event())).status_code == 204


@pytest.mark.parametrize("declared", [True, False])
async def test_an_oversized_event_is_not_forwarded(*, declared: bool) -> None:
    """The attack: a body that is too large, with or without a declared length."""
    body = fresh_event() + b" " * MAX_BODY_BYTES

    async def chunks() -> Any:
        for start in range(0, len(body), 65_536):
            yield body[start : start + 65_536]

    headers = {"x-apideck-signature": sign(body, API_KEY)}
    async with delivering() as service:
        content = body if declared else chunks()
        response = await service.http.post(PATH, content=content, headers=headers)

        assert problem(response) == (413, "body-too-large")
        assert service.target.received == []


async def test_an_event_of_one_unify_app_does_not_reach_another() -> None:
    """The attack: a recorded event of one app, sent to the other, which has the same key."""
    shared: dict[str, Any] = {
        "apideck": {"unify_apps": {"brand": {"api_key": API_KEY, "app_id": "brand"}}}
    }
    body = event(occurred_at=datetime.now(UTC).isoformat())
    body["payload"]["entity"]["application_id"] = "brand"
    content = json.dumps(body).encode()
    async with delivering(**shared) as service:
        assert problem(await service.deliver(content)) == (422, "invalid-event")
        assert service.target.received == []
        assert (await service.deliver(content, path=f"{PATH}/brand")).status_code == 204


async def test_an_event_of_a_unify_app_without_a_target_is_not_forwarded() -> None:
    """The attack: an event of an app without a target, sent to the endpoint of another app."""
    target: dict[str, Any] = {"target_url": None, "signing_secret": None}
    async with webhook_target(status(204)) as backend:
        brand = {"target_url": backend.url, "signing_secret": SIGNING_SECRET}
        settings: dict[str, Any] = {
            "apideck": {"unify_apps": {"brand": {"api_key": API_KEY, "app_id": "brand"}}},
            "webhooks": {**target, "unify_apps": {"brand": brand}},
        }
        body = event(occurred_at=datetime.now(UTC).isoformat())
        body["payload"]["entity"]["application_id"] = APP_ID
        async with delivering(**settings) as service:
            response = await service.deliver(json.dumps(body).encode(), path=f"{PATH}/brand")

        assert problem(response) == (422, "invalid-event")
        assert backend.received == []


@pytest.mark.parametrize("signature", ["0", "f" * 63, "0x" + "0" * 62, "sha256=" + "0" * 64])
async def test_a_malformed_signature_is_rejected_before_the_body(signature: str) -> None:
    """The attack: a body that never ends, with a malformed signature."""

    async def endless() -> Any:
        yield b"{"
        await asyncio.Event().wait()

    async with delivering() as service:
        headers = {"x-apideck-signature": signature}
        async with asyncio.timeout(5):
            response = await service.http.post(PATH, content=endless(), headers=headers)

        assert problem(response) == (401, "invalid-signature")


@pytest.mark.parametrize("code", [301, 302, 307, 308])
async def test_a_redirect_of_the_target_is_not_followed(code: int) -> None:
    """The attack: a target that sends an event and its valid signature somewhere else."""
    async with (
        webhook_target(status(204)) as elsewhere,
        delivering(status(code, f"location: {elsewhere.url}\r\n")) as service,
    ):
        response = await service.deliver(fresh_event())

        assert problem(response) == (502, "webhook-target-failed")
        assert len(service.target.received) == 1
        assert elsewhere.received == []


async def test_the_target_gets_neither_the_key_nor_apidecks_signature() -> None:
    """The attack: the target could replay the event with the signature, or sign with the key."""
    body = fresh_event()
    async with delivering() as service:
        await service.deliver(body)

        [received] = service.target.received
        sent = f"{received.line} {received.headers} {received.body.decode()}"
        assert API_KEY not in sent
        assert sign(body, API_KEY) not in sent
        assert set(received.headers) <= {
            "host",
            "content-type",
            "content-length",
            "user-agent",
            "accept",
            "accept-encoding",
            "webhook-id",
            "webhook-timestamp",
            "webhook-signature",
        }
