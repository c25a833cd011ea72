"""Forward an event to the operator's own backend, signed by the Standard Webhooks specification.

The target comes from the settings alone. It gets exactly the bytes that Apideck signed, and a
signature that is made with the operator's secret, never with the API key. Nothing is stored here:
an event that was not forwarded is not acknowledged either, and Apideck delivers it again.

Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

import httpx
from standardwebhooks import Webhook

from ..common.connect_failures import cause_of
from ..common.transport import NoDescriptorError
from ..errors import OutOfDescriptorsError
from .errors import TargetFailedError, TargetTimeoutError
from .slots import Slots

_FAILED: Final = "The endpoint that events are forwarded to failed."


@dataclass(slots=True)
class Target:
    """An endpoint of the operator.

    Attributes:
        url: where it is.
        signers: one for each signing secret; each adds a signature.
        secrets: the signing secrets, each with its prefix `whsec_`.
    """

    url: httpx.URL
    signers: tuple[Webhook, ...] = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)

    @classmethod
    def build(cls, url: str, secrets: Iterable[str]) -> "Target":
        """Return a target with these signing secrets, each with its prefix `whsec_`."""
        secrets = tuple(secrets)
        return cls(httpx.URL(url), tuple(map(Webhook, secrets)), secrets)

    def use(self, secrets: tuple[str, ...]) -> bool:
        """Sign with other secrets from now on; return whether they differ."""
        changed = secrets != self.secrets
        self.secrets, self.signers = secrets, tuple(map(Webhook, secrets))
        return changed

    def request(self, event_id: str, content: bytes, now: datetime) -> httpx.Request:
        """Return the request that delivers an event.

        Args:
            event_id: printable ASCII without dots, which separate the signed parts.
            content: the event, in UTF-8.
            now: the current time in UTC; the library uses the digits and ignores the time zone.
        """
        signatures = [signer.sign(event_id, now, content.decode()) for signer in self.signers]
        headers = {
            "content-type": "application/json",
            "user-agent": "vault-bff",
            "webhook-id": event_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": " ".join(signatures),
        }
        return httpx.Request("POST", self.url, headers=headers, content=content)


class Relay:
    """Forwards events, so many at a time to each target.

    Each target has slots of its own, so that a slow one delays no event of another.
    """

    def __init__(
        self,
        transport: httpx.AsyncBaseTransport,
        timeout_seconds: float,
        max_in_flight: int,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Create the relay.

        Args:
            transport: carries requests. It must follow no redirect: an event with its valid
                signature would go where the target's response points.
            timeout_seconds: how long the target may take to respond.
            max_in_flight: how many events may be forwarded to one URL at the same time.
            clock: the current time in UTC.
        """
        self._transport = transport
        self._timeout_seconds = timeout_seconds
        self._slots: defaultdict[httpx.URL, Slots] = defaultdict(
            lambda: Slots(max_in_flight, "being forwarded to this target")
        )
        self._clock = clock

    @property
    def in_flight(self) -> int:
        """How many events are being forwarded now."""
        return sum(slots.used for slots in self._slots.values())

    async def forward(self, target: Target, event_id: str, content: bytes) -> None:
        """Deliver an event; return once the target has acknowledged it with a 2xx.

        Args:
            target: where to.
            event_id: the event's id, which becomes `webhook-id`.
            content: the bytes that Apideck signed.

        Raises:
            RelayOverloadedError: as many events as allowed are being forwarded to the target.
            OutOfDescriptorsError: this process has no file descriptor for a connection.
            TargetFailedError: the target did not respond with a 2xx, or not at all.
            TargetTimeoutError: it did not respond in time.
        """
        with self._slots[target.url]:
            status = await self._send(target.request(event_id, content, self._clock()))
        if not httpx.codes.is_success(status):
            raise TargetFailedError(_FAILED, reason=f"the target responded with {status}")

    async def _send(self, request: httpx.Request) -> int:
        """Return the status of the target's response; its body is not read."""
        try:
            async with asyncio.timeout(self._timeout_seconds):
                response = await self._transport.handle_async_request(request)
                await response.aclose()
        except TimeoutError:
            raise TargetTimeoutError(
                "The endpoint that events are forwarded to did not respond in time.",
                reason=f"no response within {self._timeout_seconds:g} s",
            ) from None
        except NoDescriptorError:
            raise OutOfDescriptorsError(
                "Too many events are being received.", reason="too many open files", retry_after=1
            ) from None
        except httpx.HTTPError as error:
            raise TargetFailedError(_FAILED, reason=cause_of(error)) from None
        return response.status_code
