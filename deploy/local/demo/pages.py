"""The open pages of the demo, and the messages to them (server-sent events)."""

import asyncio
from collections.abc import AsyncIterator
from typing import Literal

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route

_HEARTBEAT_SECONDS = 15.0
_MESSAGES = {
    "changed": "data: changed\n\n",
    # Pages without the drawer listen only to messages without a name.
    "activity": "event: activity\ndata: recorded\n\n",
}


class Pages:
    """Sends messages to all open pages.

    The messages contain no data about any customer, so the stream needs no credential: after a
    message, a page requests the data of its own user.
    """

    def __init__(self) -> None:
        self._open: set[tuple[asyncio.AbstractEventLoop, asyncio.Queue[str]]] = set()

    def routes(self) -> list[BaseRoute]:
        """Return the stream."""
        return [Route("/changes", self._changes)]

    def notify(self, message: Literal["changed", "activity"]) -> None:
        """Send a message to all open pages, from any thread."""
        for loop, queue in tuple(self._open):
            loop.call_soon_threadsafe(queue.put_nowait, _MESSAGES[message])

    async def _changes(self, _: Request) -> Response:
        return StreamingResponse(self._stream(), media_type="text/event-stream")

    async def _stream(self) -> AsyncIterator[str]:
        page = (asyncio.get_running_loop(), asyncio.Queue[str]())
        self._open.add(page)
        try:
            yield "retry: 1000\n\n"
            while True:
                try:
                    yield await asyncio.wait_for(page[1].get(), _HEARTBEAT_SECONDS)
                except TimeoutError:
                    yield ": still here\n\n"
        finally:
            self._open.discard(page)
