"""The order of things: the signature is verified, the event is read, the target acknowledges it."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

from app.settings.webhooks import WebhookSettings
from app.webhooks.errors import InvalidEventError, InvalidSignatureError
from app.webhooks.event import Event, IgnoredEvent, check_age, read_event
from app.webhooks.relay import Relay, Target
from app.webhooks.signature import SignedContent, verify_signature

_LARGE_BODY_BYTES: Final = 8192
"""Bodies of this size and more are verified in a thread, one at a time. Sorting a forged body of
the greatest size takes up to a tenth of a second, which must not delay other requests."""


@dataclass(frozen=True, slots=True)
class WebhookSource:
    """A Unify app whose events are received.

    Attributes:
        app_id: its id at Apideck.
        keys: returns the API keys that Apideck may sign with now: the current one, and the one
            before for a while after a change.
        target: where its events go.
    """

    app_id: str
    keys: Callable[[], Sequence[str]]
    target: Target


@dataclass(slots=True)
class DeliveryRecord:
    """What is known of one delivery so far, for the audit event.

    Attributes:
        unify_app: the operator's name of the Unify app.
        key: which API key verified the signature.
        event_id: Apideck's id of the event.
        event_type: its type.
        consumer_id: the consumer whose connection it is about.
    """

    unify_app: str
    key: Literal["current", "previous"] | None = None
    event_id: str | None = None
    event_type: str | None = None
    consumer_id: str | None = None


class WebhookService:
    """Receives events from Apideck and forwards them.

    Attributes:
        sources: the Unify apps whose events are received, by the operator's name.
    """

    def __init__(
        self,
        settings: WebhookSettings,
        sources: Mapping[str, WebhookSource],
        relay: Relay,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._settings = settings
        self._relay = relay
        self._clock = clock
        self._verifying_large_body = asyncio.Lock()
        self.sources = sources

    async def receive(
        self, record: DeliveryRecord, signature: str, body: bytes
    ) -> Literal["forwarded", "validation-request", "unwanted-type"]:
        """Forward the event that a request holds, and return what became of it.

        Args:
            record: is completed as more becomes known; names one of `sources`.
            signature: the header `x-apideck-signature`.
            body: the body of the request, as received.

        Raises:
            InvalidSignatureError: no key verifies the signature.
            InvalidEventError: the event has no usable id, type or time, or belongs to another of
                the operator's Unify apps.
            StaleEventError: the event is too old.
            RelayOverloadedError: too many events are being forwarded.
            TargetFailedError: the target did not acknowledge the event.
            TargetTimeoutError: the target did not respond in time.
        """
        source = self.sources[record.unify_app]
        signed = await self._verified(body, signature, source.keys())
        record.key = "previous" if signed.key_index else "current"
        event = read_event(signed.content, self._settings.event_types)
        record.event_type = event.type
        if isinstance(event, IgnoredEvent):
            return event.reason
        record.event_id, record.consumer_id = event.id, event.consumer_id
        self._check_unify_app(event, source)
        check_age(event, self._clock(), self._settings.max_age)
        await self._relay.forward(source.target, event.id, signed.content)
        return "forwarded"

    async def _verified(self, body: bytes, signature: str, keys: Sequence[str]) -> SignedContent:
        if len(body) < _LARGE_BODY_BYTES:
            signed = verify_signature(body, signature, keys)
        else:
            async with self._verifying_large_body:
                signed = await asyncio.to_thread(verify_signature, body, signature, keys)
        if signed is None:
            raise InvalidSignatureError(
                "The signature is not valid.", reason="no key verifies the signature"
            )
        return signed

    def _check_unify_app(self, event: Event, source: WebhookSource) -> None:
        """Reject an event of another Unify app.

        The attack: two Unify apps share an API key, and a recorded event of one is sent to the
        endpoint of the other, whose backend belongs to somebody else. An id that is none of ours
        is accepted: Apideck does not document that the field is always the app's id.
        """
        others = {one.app_id for one in self.sources.values()} - {source.app_id}
        if event.application_id in others:
            raise InvalidEventError(
                "The event belongs to another Unify app.",
                reason="application_id is that of another configured Unify app",
            )
