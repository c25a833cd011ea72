"""Webhooks: signed deliveries of events, with retries.

Apideck documents the fields, the headers and the signature, but not the number and the delays of
its retries. The delays of the emulator are short, so that they are visible in a demo.
"""

import asyncio
import hashlib
import hmac
import json
import uuid
from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

import httpx
from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

TIMEOUT_SECONDS = 60.0
RETRY_DELAYS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds before each retry; after the last one the webhook is disabled."""

EVENT_BY_ACTION = {
    "connect": "vault.connection.callable",
    "reauthorize": "vault.connection.callable",
    "enable": "vault.connection.updated",
    "disable": "vault.connection.disabled",
    "disconnect": "vault.connection.updated",
    "delete": "vault.connection.deleted",
}
"""The event that each action in the Vault causes."""


class Webhook(BaseModel):
    """The target of events, and their signature.

    Attributes:
        url: the URL of the target; None disables deliveries.
        encoding: the encoding of the signature.
        form: the signed content: the body with sorted keys, although the body is sent unsorted, or
            the body as it is sent.
        bad_signatures: the number of next deliveries that get an invalid signature.
        duplicates: how often each event is delivered again after it was acknowledged.
    """

    model_config = ConfigDict(extra="forbid")

    url: str | None = None
    encoding: Literal["hex", "base64"] = "hex"
    form: Literal["sorted", "sorted-outside-arrays", "raw"] = "sorted"
    bad_signatures: int = 0
    duplicates: int = 0


@dataclass(frozen=True, slots=True)
class Delivery:
    """One attempt to deliver an event; `status` is None if there was no response."""

    event_id: str
    event_type: str
    attempt: int
    status: int | None


@dataclass(slots=True)
class Deliveries:
    """The webhook of an application, and its deliveries so far.

    Attributes:
        key: the API key, which signs the deliveries.
        clock: returns the seconds since 1970.
        retry_delays: seconds before each retry.
        webhook: the target of events, and their signature.
        disabled: whether an event was not acknowledged after the last retry.
        log: every attempt, in order.
    """

    key: str
    clock: Callable[[], float]
    retry_delays: Sequence[float] = RETRY_DELAYS
    webhook: Webhook = field(default_factory=Webhook)
    disabled: bool = False
    log: list[Delivery] = field(default_factory=list)
    _tasks: set["asyncio.Task[None]"] = field(default_factory=set)

    def reset(self) -> None:
        """Disable deliveries, and remove the recorded ones."""
        self.webhook, self.retry_delays = Webhook(), RETRY_DELAYS
        self.disabled = False
        self.log = []  # Deliveries that are still running use the old list.

    def connection_changed(
        self, app_id: str, consumer_id: str, connection: dict[str, Any], action: str
    ) -> None:
        """Deliver the event that an action in the Vault causes; do not wait for it.

        Args:
            app_id: the application.
            consumer_id: the consumer of the connection.
            connection: the Connection object after the action.
            action: the action of the person, such as `connect`; actions that are not in
                `EVENT_BY_ACTION` cause no event.
        """
        if action not in EVENT_BY_ACTION or self.webhook.url is None or self.disabled:
            return
        event = self._event(app_id, consumer_id, connection, EVENT_BY_ACTION[action])
        task = asyncio.get_running_loop().create_task(self.deliver(event))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def deliver(self, event: dict[str, Any]) -> None:
        """Deliver an event until it is acknowledged, and then the duplicates."""
        async with httpx.AsyncClient(timeout=TIMEOUT_SECONDS, trust_env=False) as client:
            for attempt, delay in enumerate((0.0, *self.retry_delays), start=1):
                await asyncio.sleep(delay)
                if await self._attempt(client, event, attempt):
                    for _ in range(self.webhook.duplicates):
                        await self._attempt(client, event, attempt)
                    return
        self.disabled = True

    async def validate(self) -> int | None:
        """Send the request that validates a new URL; returns the status of the response."""
        async with httpx.AsyncClient(timeout=TIMEOUT_SECONDS, trust_env=False) as client:
            return await self._post(client, {}, {})

    def routes(self) -> list[BaseRoute]:
        """Return the control endpoints."""
        return [
            Route("/__emulator__/webhook", self._set, methods=["POST"]),
            Route("/__emulator__/deliveries", self._list),
        ]

    def signature(self, body: dict[str, Any], sent: bytes) -> str:
        """Return the signature of a delivery.

        Python writes strings, and the numbers of a Connection, exactly as JavaScript does.

        Args:
            body: the body as an object.
            sent: the bytes that are sent.
        """
        content = {
            "raw": lambda: sent,
            "sorted": lambda: _json(body, sort_keys=True),
            "sorted-outside-arrays": lambda: _json(_sorted_outside_arrays(body)),
        }[self.webhook.form]()
        key = self.key
        if self.webhook.bad_signatures:
            self.webhook.bad_signatures -= 1
            key += " is not the key"
        digest = hmac.digest(key.encode(), content, hashlib.sha256)
        return digest.hex() if self.webhook.encoding == "hex" else b64encode(digest).decode()

    def _event(
        self, app_id: str, consumer_id: str, connection: dict[str, Any], event_type: str
    ) -> dict[str, Any]:
        now = datetime.fromtimestamp(self.clock(), UTC)
        return {
            "payload": {
                "event_id": str(uuid.uuid4()),
                "event_type": event_type,
                "service_id": "apideck-vault",
                "entity_id": f"{connection['unified_api']}+{connection['service_id']}",
                "entity_type": "Connection",
                "entity": {**connection, "consumer_id": consumer_id, "application_id": app_id},
                "execution_attempt": 1,
                "occurred_at": now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            }
        }

    async def _attempt(
        self, client: httpx.AsyncClient, event: dict[str, Any], attempt: int
    ) -> bool:
        log = self.log
        payload = event["payload"]
        event_id, event_type = payload["event_id"], payload["event_type"]
        headers = {"x-apideck-event-type": event_type, "x-apideck-idempotency-key": event_id}
        body = {"payload": {**payload, "execution_attempt": attempt}}
        status = await self._post(client, body, headers)
        log.append(Delivery(event_id, event_type, attempt, status))
        return status is not None and 200 <= status < 300

    async def _post(
        self, client: httpx.AsyncClient, body: dict[str, Any], headers: dict[str, str]
    ) -> int | None:
        sent = _json(body)
        headers = {
            **headers,
            "content-type": "application/json",
            "x-apideck-signature": self.signature(body, sent),
        }
        try:
            response = await client.post(str(self.webhook.url), content=sent, headers=headers)
        except httpx.HTTPError:
            return None
        return response.status_code

    async def _set(self, request: Request) -> Response:
        try:
            self.webhook = Webhook.model_validate_json(await request.body())
        except ValidationError as invalid:
            return JSONResponse({"errors": json.loads(invalid.json(include_input=False))}, 400)
        self.disabled = False
        status = None if self.webhook.url is None else await self.validate()
        return JSONResponse({"validation": status})

    async def _list(self, _: Request) -> Response:
        return JSONResponse(
            {
                "disabled": self.disabled,
                "deliveries": [
                    {
                        "event_id": one.event_id,
                        "event_type": one.event_type,
                        "attempt": one.attempt,
                        "status": one.status,
                    }
                    for one in self.log
                ],
            }
        )


def _json(value: Any, *, sort_keys: bool = False) -> bytes:
    return json.dumps(
        value, ensure_ascii=False, separators=(",", ":"), sort_keys=sort_keys
    ).encode()


def _sorted_outside_arrays(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted_outside_arrays(value[key]) for key in sorted(value)}
    return value
