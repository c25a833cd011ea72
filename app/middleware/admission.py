"""Limits how many requests the application processes at once, and rejects the rest early.

A request to a limited route waits here for a slot. Nothing looks at its body or its credential in
the meantime: the body is only kept, up to its limit, because reading it is the one way in which an
ASGI server reports that the client has disconnected.

It takes two middleware. The first holds requests back before most of the stack has spent time and
memory on them; the last responds to those that were rejected, so that their responses are like all
others: they have CORS headers, and the access log and the metrics count them.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from starlette.responses import Response
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import VaultBffError
from app.limits.admission import Admission, AdmissionQueue, Ticket
from app.observability.audit import AuditRecord
from app.state import app_state, request_context

_REJECTION: Final = "vault_bff.rejection"


class AdmissionMiddleware:
    """Holds a request back until the queue has decided about it."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        queue: AdmissionQueue,
        routes: Sequence[BaseRoute],
        max_body_bytes: int,
    ) -> None:
        """Limit the requests to some routes.

        Args:
            app: the rest of the application; `RejectionMiddleware` is its last middleware.
            queue: gives out the slots.
            routes: the limited routes, whose requests leave audit events. They are matched as the
                router matches them, so no spelling of a path reaches one of them without a slot.
            max_body_bytes: the longest body that these routes accept.
        """
        self.app = app
        self._queue = queue
        self._routes = routes
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, with the queue's decision unless it is admitted."""
        route = self._limited_route(scope) if scope["type"] == "http" else None
        if route is None:
            await self.app(scope, receive, send)
            return
        ticket = self._queue.join()
        try:
            if ticket.done():
                decision = ticket.result()
            else:
                receive = _BufferedReceive(receive, self._max_body_bytes)
                decision = await self._wait(ticket, receive, scope)
            if decision is not Admission.ADMITTED:
                # The access log and the metrics name the route, which no router will find.
                scope[_REJECTION], scope["route"] = decision, route
            await self.app(scope, receive, send)
        finally:
            self._queue.leave(ticket)

    def _limited_route(self, scope: Scope) -> BaseRoute | None:
        for route in self._routes:
            match, child_scope = route.matches(scope)
            if match is Match.FULL:
                found: BaseRoute = child_scope.get("route", route)
                return found
        return None

    async def _wait(self, ticket: Ticket, receive: "_BufferedReceive", scope: Scope) -> Admission:
        watcher = asyncio.create_task(receive.until_disconnect())
        watcher.add_done_callback(lambda _: self._queue.disconnect(ticket))
        try:
            return await ticket
        except asyncio.CancelledError:
            # The server cancels the requests that are left when the grace period ends. They end
            # with a response. Any other cancellation goes on.
            if not app_state(scope)["shutdown"].begun:
                raise
            return Admission.SHUT_DOWN
        finally:
            watcher.cancel()


class RejectionMiddleware:
    """Responds to the requests that were not admitted."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        errors: Mapping[Admission, VaultBffError],
        respond: Callable[[Exception, Scope], Response],
    ) -> None:
        """Take how to respond.

        Args:
            app: the router.
            errors: the error for each decision; a decision without one needs no response, because
                the client has disconnected.
            respond: makes the response to an error.
        """
        self.app = app
        self._errors = errors
        self._respond = respond

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass an admitted request on, and respond to any other."""
        decision = scope.get(_REJECTION)
        if decision is None:
            await self.app(scope, receive, send)
            return
        context = request_context(scope)
        context.audit = AuditRecord(started=context.received_at)
        context.admitted = False
        if error := self._errors.get(decision):
            await self._respond(error, scope)(scope, receive, send)


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
