"""Responses, forwarded events and audit events of `POST /webhooks/apideck`."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import capture_logs

from app.webhooks.signature import MAX_BODY_BYTES
from emulators.apideck.emulator import API_KEY
from tests.support.apideck_events import EVENT_ID, event, raw, sign, sorted_everywhere
from tests.support.events_service import PATH, Delivering, delivering, fresh_event
from tests.support.http import problem
from tests.support.service import running, settings_for
from tests.support.webhook_target import status

BRAND: dict[str, Any] = {
    "apideck": {"unify_apps": {"brand": {"api_key": "sk_live_of_the_brand", "app_id": "brand"}}}
}


@pytest.fixture
async def service() -> AsyncIterator[Delivering]:
    """Run the service in front of a target that acknowledges everything."""
    async with delivering() as running_service:
        yield running_service


def deliveries(logs: list[Any]) -> list[dict[str, Any]]:
    """Return the audit events of deliveries among log events."""
    return [line for line in logs if line["event"].startswith("webhook_")]


async def counted(http: httpx.AsyncClient) -> dict[tuple[str, str, str], float]:
    """Return the number of deliveries by Unify app, outcome and problem."""
    families = text_string_to_metric_families((await http.get("/metrics")).text)
    return {
        (one.labels["application"], one.labels["outcome"], one.labels["problem"]): one.value
        for family in families
        for one in family.samples
        if one.name == "vault_bff_webhook_events_total" and one.value
    }


async def test_an_event_is_forwarded_and_acknowledged(service: Delivering) -> None:
    """The target gets the signed bytes with the service's signature, and one event is audited."""
    body = fresh_event()

    with capture_logs() as logs:
        response = await service.deliver(body)

    assert (response.status_code, response.content) == (204, b"")
    [received] = service.target.received
    assert received.body == body
    [payload] = service.verified()
    assert payload["event_id"] == received.headers["webhook-id"] == EVENT_ID
    assert not [name for name in received.headers if name.startswith("x-apideck")]
    [audit] = deliveries(logs)
    assert audit.pop("duration_ms") > 0
    assert audit == {
        "event": "webhook_forwarded",
        "log_level": "info",
        "application": "default",
        "key": "current",
        "event_id": EVENT_ID,
        "event_type": "vault.connection.callable",
        "consumer_id": "acme",
        "ignored": None,
        "problem": None,
        "reason": None,
    }
    assert await counted(service.http) == {("default", "forwarded", "none"): 1}


@pytest.mark.parametrize("encoding", ["hex", "base64"])
async def test_the_sorted_form_is_forwarded_if_apideck_signed_it(
    service: Delivering, encoding: Any
) -> None:
    """The target gets the bytes that Apideck's signature covers."""
    body = fresh_event()
    content = sorted_everywhere(json.loads(body))

    response = await service.deliver(body, sign(content, API_KEY, encoding))

    assert response.status_code == 204
    assert [one.body for one in service.target.received] == [content]


@pytest.mark.parametrize(
    ("body", "expected", "slug"),
    [
        (fresh_event(event_id="not.an.id"), 422, "invalid-event"),
        (fresh_event(occurred_at=None), 422, "invalid-event"),
        (raw(event(occurred_at="2020-01-01T00:00:00Z")), 422, "stale-event"),
        (b"x" * (MAX_BODY_BYTES + 1), 413, "body-too-large"),
    ],
)
async def test_a_rejected_event_is_one_problem_and_one_audit_event(
    service: Delivering, body: bytes, expected: int, slug: str
) -> None:
    """The target receives no request."""
    with capture_logs() as logs:
        response = await service.deliver(body)

    assert problem(response) == (expected, slug)
    [audit] = deliveries(logs)
    assert (audit["event"], audit["problem"]) == ("webhook_refused", slug)
    assert service.target.received == []


@pytest.mark.parametrize("signature", [None, "", "0" * 64])
async def test_a_request_without_a_valid_signature_is_a_401(
    service: Delivering, signature: str | None
) -> None:
    """The response names the required credential; the audit event quotes nothing of the body."""
    headers = {} if signature is None else {"x-apideck-signature": signature}
    with capture_logs() as logs:
        response = await service.http.post(PATH, content=fresh_event(), headers=headers)

    assert problem(response) == (401, "invalid-signature")
    assert response.headers["www-authenticate"] == "ApideckSignature"
    [audit] = deliveries(logs)
    assert audit["consumer_id"] is audit["event_type"] is audit["event_id"] is None
    assert service.target.received == []


async def test_no_body_is_read_without_a_signature(service: Delivering) -> None:
    """The attack: a stream of large bodies without a signature."""
    sent = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal sent
        sent += 1
        yield b"x" * 1024

    response = await service.http.post(PATH, content=body())

    assert response.status_code == 401
    assert sent == 0


async def test_events_of_other_types_and_validation_requests_are_ignored(
    service: Delivering,
) -> None:
    """Both are acknowledged, and neither is forwarded."""
    with capture_logs() as logs:
        for body in (fresh_event(event_type="crm.contact.updated"), b"{}"):
            assert (await service.deliver(body)).status_code == 204

    assert [(one["event"], one["ignored"]) for one in deliveries(logs)] == [
        ("webhook_ignored", "unwanted-type"),
        ("webhook_ignored", "validation-request"),
    ]
    assert service.target.received == []


@pytest.mark.parametrize(
    "unify_app", ["brand", "..", "a%2Fb", "%1b[31m", "x" * 5000], ids=lambda name: name[:8]
)
async def test_an_unknown_unify_app_is_a_404_with_an_audit_event(
    service: Delivering, unify_app: str
) -> None:
    """The log shortens and escapes the name of the app, and no metric has it as a label."""
    with capture_logs() as logs:
        response = await service.deliver(fresh_event(), path=f"{PATH}/{unify_app}")

    assert problem(response) == (404, "not-found")
    for audit in deliveries(logs):
        assert audit["application"] is None
        assert len(audit["reason"]) < 400
        assert audit["reason"].isprintable()
    assert set(await counted(service.http)) <= {("none", "refused", "not-found")}
    assert service.target.received == []


async def test_each_unify_app_has_an_endpoint_with_its_own_key() -> None:
    """The key of one Unify app is not accepted at the endpoint of another."""
    async with delivering(**BRAND) as service:
        body = fresh_event()
        brand = sign(body, "sk_live_of_the_brand")

        assert (await service.deliver(body, brand, f"{PATH}/brand")).status_code == 204
        assert (await service.deliver(body, path=f"{PATH}/default")).status_code == 204
        assert (await service.deliver(body, brand)).status_code == 401
        assert (await service.deliver(body, path=f"{PATH}/brand")).status_code == 401
        assert len(service.verified()) == 2


async def test_without_a_target_the_endpoint_is_not_found() -> None:
    """The endpoint is a 404 like any unknown path, and logs no audit event."""
    settings = settings_for("http://127.0.0.1:9", "http://127.0.0.1:9")
    async with running(settings) as http:
        with capture_logs() as logs:
            response = await http.post(PATH, headers={"x-apideck-signature": "0" * 64})

    assert problem(response) == (404, "not-found")
    assert deliveries(logs) == []


async def test_a_failing_target_is_a_502(service: Delivering) -> None:
    """Apideck retries the delivery; the audit event has the status of the target's response."""
    service.target.respond = status(500)
    with capture_logs() as logs:
        response = await service.deliver(fresh_event())

    assert problem(response) == (502, "webhook-target-failed")
    [audit] = deliveries(logs)
    assert audit["event"] == "webhook_failed"
    assert audit["reason"] == "the target responded with 500"
    assert audit["consumer_id"] == "acme"
    assert await counted(service.http) == {("default", "failed", "webhook-target-failed"): 1}
