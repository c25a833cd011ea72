"""The demo's backend for Apideck's events: verifies them, and notifies open pages."""

import os
from collections.abc import Callable
from typing import Any

from standardwebhooks import Webhook, WebhookVerificationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

# The same secret as in ../config.toml, which only the service reads: it contains the API key.
_SIGNING_SECRET = "whsec_b3BlbnMtbm90aGluZy1vcGVucy1ub3RoaW5n"


class Events:
    """Receives events.

    Args:
        on_event: called once with each verified event.
    """

    def __init__(self, on_event: Callable[[dict[str, Any]], None]) -> None:
        secret = os.environ.get("WEBHOOKS__SIGNING_SECRET", _SIGNING_SECRET)
        self._webhook = Webhook(secret)
        self._on_event = on_event
        # A real backend stores the ids in its database, in one transaction with its other changes.
        self._seen: set[str] = set()

    def routes(self) -> list[BaseRoute]:
        """Return the endpoint for the service."""
        return [Route("/webhooks/apideck", self._receive, methods=["POST"])]

    async def _receive(self, request: Request) -> Response:
        body = await request.body()
        try:
            event = self._webhook.verify(body, dict(request.headers))["payload"]
        except (WebhookVerificationError, ValueError):
            return Response(status_code=401)
        if event["event_id"] not in self._seen:
            self._seen.add(event["event_id"])
            self._on_event(event)
        return Response(status_code=204)
