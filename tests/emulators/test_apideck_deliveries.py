"""The Apideck emulator delivers events as Apideck documents."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, Literal

import httpx
import pytest

from emulators.apideck import ApideckEmulator
from emulators.apideck.deliveries import Deliveries, Webhook
from emulators.apideck.emulator import API_KEY
from tests.support.apideck_calls import created
from tests.support.apideck_events import event, sign
from tests.support.javascript import javascript, missing
from tests.support.webhook_target import WebhookTarget, status, webhook_target

PerformAction = Callable[[str], None]


@pytest.fixture
async def target() -> AsyncIterator[WebhookTarget]:
    """Run a webhook target that acknowledges every event."""
    async with webhook_target(status(204)) as running:
        yield running


@pytest.fixture
def act(apideck: ApideckEmulator, browser: httpx.Client, target: WebhookTarget) -> PerformAction:
    """Return a function that performs an action on HubSpot in the Vault."""
    apideck.deliveries.webhook = Webhook(url=target.url)
    apideck.deliveries.retry_delays = (0.0, 0.0)
    token = created(browser)["session_token"]

    def choose(action: str) -> None:
        form = {"unified_api": "crm", "service_id": "hubspot", "action": action}
        assert browser.post("/connect", data={"jwt": token, **form}).status_code == 303

    return choose


def payloads(target: WebhookTarget) -> list[dict[str, Any]]:
    """Return the payloads that the target received."""
    return [json.loads(one.body)["payload"] for one in target.received]


async def test_each_change_in_the_vault_causes_an_event(
    act: PerformAction, target: WebhookTarget
) -> None:
    """The entity is the changed connection, and each event has a unique id."""
    actions = ("connect", "disable", "enable", "reauthorize", "disconnect", "delete")
    for number, action in enumerate(actions, start=1):
        act(action)
        await target.wait_for_requests(number)

    events = payloads(target)
    assert [one["event_type"].removeprefix("vault.connection.") for one in events] == [
        "callable",
        "disabled",
        "updated",
        "callable",
        "updated",
        "deleted",
    ]
    assert {(one["entity"]["consumer_id"], one["entity"]["service_id"]) for one in events} == {
        ("acme", "hubspot")
    }
    assert len({one["event_id"] for one in events}) == len(actions)
    for request, payload in zip(target.received, events, strict=True):
        assert request.headers["x-apideck-idempotency-key"] == payload["event_id"]
        assert request.headers["x-apideck-event-type"] == payload["event_type"]


async def test_an_unknown_action_causes_no_event(act: PerformAction, target: WebhookTarget) -> None:
    """Only actions that change a connection cause an event."""
    act("explode")
    act("connect")
    await target.wait_for_requests(1)
    assert [one["event_type"] for one in payloads(target)] == ["vault.connection.callable"]


@pytest.mark.skipif(missing() is not None, reason=str(missing()))
@pytest.mark.parametrize("encoding", ["hex", "base64"])
@pytest.mark.parametrize("form", ["sorted-outside-arrays", "sorted", "raw"])
async def test_signatures_match_apidecks_own_examples(
    apideck: ApideckEmulator,
    act: PerformAction,
    target: WebhookTarget,
    encoding: Literal["hex", "base64"],
    form: Literal["sorted", "sorted-outside-arrays", "raw"],
) -> None:
    """JavaScript computes the same signature from the request that was sent."""
    apideck.deliveries.webhook = Webhook(url=target.url, encoding=encoding, form=form)
    act("connect")
    await target.wait_for_requests(1)

    [request] = target.received
    with javascript() as node:
        forms = node.sorted_forms(request.body)
    assert forms is not None
    content = {"sorted-outside-arrays": forms[0], "sorted": forms[1], "raw": request.body}[form]
    assert request.headers["x-apideck-signature"] == sign(content, API_KEY, encoding)


async def test_an_event_is_delivered_again_until_it_is_acknowledged(
    apideck: ApideckEmulator, act: PerformAction, target: WebhookTarget
) -> None:
    """Each attempt has the same event id."""
    target.respond = status(500)
    act("connect")
    await target.wait_for_requests(1)
    target.respond = status(204)
    await target.wait_for_requests(2)

    first, *others = payloads(target)
    assert {one["event_id"] for one in others} == {first["event_id"]}
    assert first["execution_attempt"] == 1
    assert not apideck.deliveries.disabled


async def test_the_webhook_is_disabled_after_the_last_retry(target: WebhookTarget) -> None:
    """After three attempts the webhook is disabled, and later events are not delivered."""
    target.respond = status(500)
    deliveries = Deliveries(API_KEY, time.time, (0.0, 0.0), Webhook(url=target.url))

    await deliveries.deliver(event())
    deliveries.connection_changed("app", "acme", {}, "connect")

    assert deliveries.disabled
    assert [(one.attempt, one.status) for one in deliveries.log] == [(1, 500), (2, 500), (3, 500)]


async def test_bad_signatures_and_duplicates_can_be_requested(
    apideck: ApideckEmulator, act: PerformAction, target: WebhookTarget
) -> None:
    """The first delivery has an invalid signature, and the event is delivered two more times."""
    apideck.deliveries.webhook = Webhook(url=target.url, form="raw", bad_signatures=1, duplicates=2)
    act("connect")
    await target.wait_for_requests(3)

    valid = [
        one.headers["x-apideck-signature"] == sign(one.body, API_KEY) for one in target.received
    ]
    assert valid == [False, True, True]
    assert len({one["event_id"] for one in payloads(target)}) == 1


async def test_a_new_url_is_validated(browser: httpx.Client, target: WebhookTarget) -> None:
    """The URL gets one signed request, and its status is returned; an invalid setting is a 400."""
    webhook = {"url": target.url, "form": "raw"}
    response = await asyncio.to_thread(browser.post, "/__emulator__/webhook", json=webhook)

    assert response.json() == {"validation": 204}
    [request] = target.received
    assert request.headers["x-apideck-signature"] == sign(request.body, API_KEY)
    rejected = await asyncio.to_thread(browser.post, "/__emulator__/webhook", json={"form": "odd"})
    assert rejected.status_code == 400
    listed = await asyncio.to_thread(browser.get, "/__emulator__/deliveries")
    assert listed.json() == {"disabled": False, "deliveries": []}
