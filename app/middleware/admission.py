"""Limits how many requests the application processes at once, and rejects the rest early.

A request to a limited route waits here for a slot. Nothing looks at its body or its credential in
the meantime: the body is only kept, up to its limit, because reading it is the one way in which an
ASGI server reports that the client has disconnected.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from starlette.responses import Response
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import OverloadedError
from app.limits.admission import Admission, AdmissionQueue, Ticket
from app.observability.audit import AuditRecord, Subject
from app.state import request_context


@dataclass(frozen=True, slots=True, eq=False)
class LimitedRoutes:
    """Routes whose requests share the slots of one queue.

    Attributes:
        queue: gives out the slots.
        routes: the routes. They are matched as the router matches them, so no spelling of a path
            reaches one of them without a slot.
        of: what their requests are for, as audit events name it.
    """

    queue: AdmissionQueue
    routes: Sequence[BaseRoute]
    of: Subject


class AdmissionMiddleware:
    """Passes a request on when it has a slot; rejects it when it gets none in time."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        limited: Sequence[LimitedRoutes],
        max_body_bytes: int,
        respond: Callable[[Exception, Scope], Response],
    ) -> None:
        """Limit the requests to some routes.

        Args:
            app: the rest of the application.
            limited: the limited routes, whose requests leave audit events.
            max_body_bytes: the longest body that these routes accept.
            respond: makes the response to an error.
        """
        self.app = app
        self._limited = [(one, one.queue.errors()) for one in limited]
        self._max_body_bytes = max_body_bytes
        self._respond = respond

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, now or when it is its turn, or reject it."""
        found = self._limited_routes(scope) if scope["type"] == "http" else None
        if found is None:
            await self.app(scope, receive, send)
            return
        limited, errors = found
        ticket = limited.queue.join()
        try:
            if not ticket.done():
                receive = _BufferedReceive(receive, self._max_body_bytes)
                await _wait(limited, ticket, receive, scope)
            if ticket.result() is Admission.ADMITTED:
                await self.app(scope, receive, send)
                return
        finally:
            limited.queue.leave(ticket)
        _audit(scope, limited.of)
        if error := errors.get(ticket.result()):
            await self._respond(error, scope)(scope, receive, send)

    def _limited_routes(
        self, scope: Scope
    ) -> tuple[LimitedRoutes, Mapping[Admission, OverloadedError]] | None:
        for limited, errors in self._limited:
            for route in limited.routes:
                match, child_scope = route.matches(scope)
                if match is Match.FULL:
                    # The access log and the metrics name the route of a rejected request, too.
                    scope["route"] = child_scope.get("route", route)
                    return limited, errors
        return None


async def _wait(
    limited: LimitedRoutes, ticket: Ticket, receive: "_BufferedReceive", scope: Scope
) -> None:
    watcher = asyncio.create_task(receive.until_disconnect())
    watcher.add_done_callback(lambda _: limited.queue.disconnect(ticket))
    try:
        await ticket
    except asyncio.CancelledError:
        _audit(scope, limited.of)  # The server cancels what is left when the grace period ends.
        raise
    finally:
        watcher.cancel()


def _audit(scope: Scope, of: Subject) -> None:
    """Have a request leave an audit event that has not reached its endpoint."""
    context = request_context(scope)
    context.audit = AuditRecord(of, started=context.received_at)


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
