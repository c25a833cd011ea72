"""The service with a client that signs events like Apideck, and a backend that receives them."""

import json
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
from standardwebhooks import Webhook

from app.settings import Settings
from emulators.apideck.emulator import API_KEY
from tests.support.apideck_events import event, raw, sign
from tests.support.service import merged_settings, running, settings_for
from tests.support.webhook_target import Respond, WebhookTarget, status, webhook_target

SIGNING_SECRET = "whsec_" + b64encode(b"0123456789abcdef0123456789abcdef").decode()
PATH = "/webhooks/apideck"
ACKNOWLEDGE = status(204)


def fresh_event(**changes: Any) -> bytes:
    """Return the body of an event that has just happened."""
    return raw(event(**{"occurred_at": now(), **changes}))


def now() -> str:
    """Return the current time as Apideck writes it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def webhook_settings(target_url: str, **groups: Any) -> Settings:
    """Return settings for a service that forwards events; it cannot reach anything else."""
    webhooks = {"target_url": target_url, "signing_secret": SIGNING_SECRET}
    return settings_for(
        "http://127.0.0.1:9",
        "http://127.0.0.1:9",
        **merged_settings({"webhooks": webhooks}, groups),
    )


@dataclass
class Delivering:
    """A client that acts as Apideck, and the backend behind the service.

    Attributes:
        http: a client of the service.
        target: the backend.
    """

    http: httpx.AsyncClient
    target: WebhookTarget

    async def deliver(
        self, body: bytes, signature: str | None = None, path: str = PATH
    ) -> httpx.Response:
        """Deliver a body, by default with its valid signature."""
        signature = sign(body, API_KEY) if signature is None else signature
        return await self.http.post(
            path,
            content=body,
            headers={"x-apideck-signature": signature, "content-type": "application/json"},
        )

    def verified(self) -> list[dict[str, Any]]:
        """Return the events that the backend received; fail unless each signature is valid."""
        webhook = Webhook(SIGNING_SECRET)
        events = []
        for request in self.target.received:
            webhook.verify(request.body, request.headers)
            events.append(json.loads(request.body)["payload"])
        return events


@asynccontextmanager
async def delivering(respond: Respond = ACKNOWLEDGE, **groups: Any) -> AsyncIterator[Delivering]:
    """Run the service and its target.

    Args:
        respond: how the target responds.
        groups: further settings by group.
    """
    async with (
        webhook_target(respond) as target,
        running(webhook_settings(target.url, **groups)) as http,
    ):
        yield Delivering(http, target)
