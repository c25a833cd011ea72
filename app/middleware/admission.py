"""Limits how many requests the application processes at once, and rejects the rest early.

A request to a limited route waits here for a slot. Nothing looks at its body or its credential in
the meantime: the body is only kept, up to its limit, because reading it is the one way in which an
ASGI server reports that the client has disconnected.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from starlette.responses import Response
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import ShuttingDownError, VaultBffError
from app.limits.admission import Admission, AdmissionQueue, Ticket
from app.state import app_state, request_context

_SHUT_DOWN: Final = ShuttingDownError(
    "This service is restarting; try again shortly.",
    reason="the process stopped while the request was queued",
    retry_after=1,
)


@dataclass(frozen=True, slots=True)
class AdmissionPolicy:
    """Which requests are limited, and what becomes of those that are not admitted.

    Attributes:
        routes: the limited routes. They are matched as the router matches them, so no spelling of a
            path reaches one of them without a slot.
        max_body_bytes: the longest body that these routes accept.
        problem: builds the response to an error, given a request id.
        audit: is called once for each request that is not admitted, with the error that it was
            rejected with, or None if its client disconnected.
    """

    routes: Sequence[BaseRoute]
    max_body_bytes: int
    problem: Callable[[VaultBffError, str], Response]
    audit: Callable[[Scope, VaultBffError | None], None]


class AdmissionMiddleware:
    """Passes a request on when it has a slot; rejects it when it gets none in time."""

    def __init__(self, app: ASGIApp, *, queue: AdmissionQueue, policy: AdmissionPolicy) -> None:
        """Use a queue, which gives out the slots, for the requests that a policy limits."""
        self._app = app
        self._queue = queue
        self._policy = policy
        self._errors = queue.errors()
        self._rejections = {
            admission: _PrebuiltResponse(partial(policy.problem, error))
            for admission, error in self._errors.items()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, now or when it is its turn, or reject it."""
        if scope["type"] != "http" or not self._is_limited(scope):
            await self._app(scope, receive, send)
            return
        ticket = self._queue.join()
        try:
            if ticket.done():
                admission = ticket.result()
            else:
                receive = _BufferedReceive(receive, self._policy.max_body_bytes)
                admission = await self._wait(ticket, receive, scope)
            if admission is Admission.ADMITTED:
                await self._app(scope, receive, send)
                return
        finally:
            self._queue.leave(ticket)
        error = self._errors.get(admission)
        self._policy.audit(scope, error)
        if error is not None:
            await self._rejections[admission].send(request_context(scope).request_id, send)

    def _is_limited(self, scope: Scope) -> bool:
        for route in self._policy.routes:
            match, child_scope = route.matches(scope)
            if match is Match.FULL:
                # The access log and the metrics name the route of a rejected request, too.
                scope["route"] = child_scope.get("route", route)
                return True
        return False

    async def _wait(self, ticket: Ticket, receive: "_BufferedReceive", scope: Scope) -> Admission:
        disconnected = asyncio.create_task(receive.until_disconnect())
        disconnected.add_done_callback(lambda _: self._queue.disconnect(ticket))
        try:
            return await ticket
        except asyncio.CancelledError:
            # At the end of the grace period the server cancels every request that is left.
            self._policy.audit(scope, _SHUT_DOWN if app_state(scope)["shutdown"].begun else None)
            raise
        finally:
            disconnected.cancel()


class _BufferedReceive:
    """Reads a request while it waits, and gives what was read to the application afterwards."""

    def __init__(self, receive: Receive, max_body_bytes: int) -> None:
        self._receive = receive
        # One byte more than is accepted, so that the application sees that the body is too long.
        self._capacity = max_body_bytes + 1
        self._body = bytearray()
        self._more_body = True
        self._disconnected = self._replayed = False

    async def until_disconnect(self) -> None:
        """Read, and return once the client has disconnected."""
        while not self._disconnected:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self._disconnected = True
            else:
                self._body += message.get("body", b"")[: self._capacity - len(self._body)]
                self._more_body = message.get("more_body", False)

    async def __call__(self) -> Message:
        """Return the next message: first what was read, then what the server receives."""
        if not self._replayed:
            self._replayed = True
            body, self._body = bytes(self._body), bytearray()
            return {"type": "http.request", "body": body, "more_body": self._more_body}
        if self._disconnected:
            return {"type": "http.disconnect"}
        return await self._receive()


class _PrebuiltResponse:
    """A response that is the same for every request, except for the request id in its body.

    Building it costs ten times as much as filling in the id, and under overload most responses are
    rejections.
    """

    _ID: Final = "~" * 32
    """Stands for the id, and is none: no response contains it elsewhere."""

    def __init__(self, build: Callable[[str], Response]) -> None:
        response = build(self._ID)
        self._status = response.status_code
        self._headers = [
            header for header in response.raw_headers if header[0] != b"content-length"
        ]
        self._before, self._after = bytes(response.body).split(self._ID.encode())

    async def send(self, request_id: str, send: Send) -> None:
        body = b"".join([self._before, request_id.encode(), self._after])
        length = (b"content-length", str(len(body)).encode())
        start: dict[str, Any] = {"status": self._status, "headers": [*self._headers, length]}
        await send({"type": "http.response.start", **start})
        await send({"type": "http.response.body", "body": body})
