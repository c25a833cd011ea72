"""The demo's backend for Apideck's events: verifies them, and tells open pages that one arrived."""

import asyncio
import os
from collections.abc import AsyncIterator

from standardwebhooks import Webhook, WebhookVerificationError
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route

# As in ../config.toml, which has the API key, too: only the service reads that file.
_SIGNING_SECRET = "whsec_b3BlbnMtbm90aGluZy1vcGVucy1ub3RoaW5n"
_HEARTBEAT_SECONDS = 15.0


class Events:
    """Receives events, and streams to pages that something has changed.

    The stream holds no data about any customer, so it needs no credential: a page then asks the
    service for the connections of its own user.
    """

    def __init__(self) -> None:
        secret = os.environ.get("WEBHOOKS__SIGNING_SECRET", _SIGNING_SECRET)
        self._webhook = Webhook(secret)
        # A real backend stores the ids in its database, in one transaction with its own work.
        self._seen: set[str] = set()
        self._waiting: set[asyncio.Event] = set()

    def routes(self) -> list[BaseRoute]:
        """Return the endpoint for the service, and the stream for pages."""
        return [
            Route("/webhooks/apideck", self._receive, methods=["POST"]),
            Route("/changes", self._changes),
        ]

    async def _receive(self, request: Request) -> Response:
        body = await request.body()
        try:
            event = self._webhook.verify(body, dict(request.headers))["payload"]
        except (WebhookVerificationError, ValueError):
            return Response(status_code=401)
        if event["event_id"] not in self._seen:
            self._seen.add(event["event_id"])
            for page in self._waiting:
                page.set()
        return Response(status_code=204)

    async def _changes(self, _: Request) -> Response:
        return StreamingResponse(self._stream(), media_type="text/event-stream")

    async def _stream(self) -> AsyncIterator[str]:
        """Yield a message for each change (the format of server-sent events)."""
        changed = asyncio.Event()
        self._waiting.add(changed)
        try:
            yield "retry: 1000\n\n"
            while True:
                try:
                    await asyncio.wait_for(changed.wait(), _HEARTBEAT_SECONDS)
                except TimeoutError:
                    yield ": still here\n\n"
                else:
                    changed.clear()
                    yield "data: changed\n\n"
        finally:
            self._waiting.discard(changed)
