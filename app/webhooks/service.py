"""The order of things: the signature is verified, the event is read, the target acknowledges it."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from ..errors import OutOfDescriptorsError
from ..observability.metrics import Metrics
from ..observability.webhook_audit import DeliveryRecord
from ..settings.webhooks import WebhookSettings
from .errors import (
    InvalidEventError,
    InvalidSignatureError,
    TargetFailedError,
    TargetTimeoutError,
)
from .event import Event, IgnoredEvent, check_age, read_event
from .relay import Relay, Target
from .signature import SignedContent, verify_raw, verify_sorted
from .slots import NewestFirst, Slots

_MAX_RECEIVING: Final = 64
"""Bodies that are being received. Anyone can send one and not finish it, so the oldest makes way
for a new one: Apideck's arrive in one piece."""

_MAX_UNVERIFIED: Final = 64
"""Bodies that were received and whose signature is not verified yet. Together with the above, they
hold at most 32 MiB of memory."""


@dataclass(frozen=True, slots=True)
class WebhookSource:
    """A Unify app whose events are received.

    Attributes:
        other_app_ids: the ids at Apideck of all other Unify apps, with or without a target.
        keys: returns the API keys that Apideck may sign with now: the current one, and the one
            before for a while after a change.
        target: where its events go.
    """

    other_app_ids: frozenset[str]
    keys: Callable[[], Sequence[str]]
    target: Target


class WebhookService:
    """Receives events from Apideck and forwards them.

    Attributes:
        sources: the Unify apps whose events are received, by the operator's name.
        receiving: the context in which to read a request; raises `RelayOverloadedError` once too
            many others have entered it since.
        failing: the Unify apps whose target did not acknowledge the last event.
    """

    def __init__(
        self,
        settings: WebhookSettings,
        sources: Mapping[str, WebhookSource],
        relay: Relay,
        metrics: Metrics,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._settings = settings
        self._relay = relay
        self._clock = clock
        self._metrics = metrics
        self._sorting = asyncio.Lock()
        self._unverified = Slots(_MAX_UNVERIFIED, "being verified")
        self.sources = sources
        self.receiving = NewestFirst(_MAX_RECEIVING)
        self.failing: set[str] = set()

    async def verify(self, record: DeliveryRecord, signature: str, body: bytes) -> SignedContent:
        """Return what the signature of a request covers.

        Args:
            record: names one of `sources`; gets the key that verified the signature.
            signature: the header `x-apideck-signature`.
            body: the body of the request, as received.

        Raises:
            InvalidSignatureError: no key verifies the signature.
            RelayOverloadedError: too many others are being verified.
        """
        keys = self.sources[str(record.unify_app)].keys()
        # If the body was signed as it was received, no forged one can keep it waiting.
        signed = verify_raw(body, signature, keys)
        if signed is None:
            with self._unverified:
                signed = await self._verified_sorted(body, signature, keys)
        record.key = "previous" if signed.key_index else "current"
        return signed

    async def forward(self, record: DeliveryRecord, signed: SignedContent) -> None:
        """Forward the event that is in signed content, unless it is one to ignore.

        Args:
            record: names one of `sources`; gets what is known of the event.
            signed: what `verify` returned.

        Raises:
            InvalidEventError: the event has no usable id, type or time, or belongs to another of
                the operator's Unify apps.
            StaleEventError: the event is too old.
            RelayOverloadedError: too many events are being forwarded.
            OutOfDescriptorsError: this process has no file descriptor for a connection.
            TargetFailedError: the target did not acknowledge the event.
            TargetTimeoutError: the target did not respond in time.
        """
        unify_app = str(record.unify_app)
        source = self.sources[unify_app]
        event = read_event(signed.content, self._settings.event_types)
        record.event_type = event.type
        if isinstance(event, IgnoredEvent):
            record.ignored = event.reason
            return
        record.event_id, record.consumer_id = event.id, event.consumer_id
        self._check_unify_app(event, source)
        check_age(event, self._clock(), self._settings.max_age)
        try:
            with self._metrics.webhook_target_seconds.labels(record.unify_app).time():
                await self._relay.forward(source.target, event.id, signed.content)
        except OutOfDescriptorsError:
            self._metrics.out_of_descriptors.labels("webhook-target").inc()
            raise
        except (TargetFailedError, TargetTimeoutError):
            self.failing.add(unify_app)
            raise
        self.failing.discard(unify_app)

    async def _verified_sorted(
        self, body: bytes, signature: str, keys: Sequence[str]
    ) -> SignedContent:
        # One at a time, in a thread: a forged body must not delay other requests.
        async with self._sorting:
            signed = await asyncio.to_thread(verify_sorted, body, signature, keys)
        if signed is None:
            raise InvalidSignatureError(
                "The signature is not valid.", reason="no key verifies the signature"
            )
        return signed

    def _check_unify_app(self, event: Event, source: WebhookSource) -> None:
        """Reject an event of another Unify app.

        The attack: two Unify apps share an API key, and a recorded event of one is sent to the
        endpoint of the other, whose backend may be another company's. An id that is none of ours
        is accepted: Apideck does not document that the field is always the app's id.
        """
        if event.application_id in source.other_app_ids:
            raise InvalidEventError(
                "The event belongs to another Unify app.",
                reason="application_id is that of another configured Unify app",
            )
