"""Limits how many requests the application processes at once, and rejects the rest early.

A request to a limited route waits here for a slot. Nothing reads its body or its credential in the
meantime. ASGI reports a disconnect only to a request that reads, which would take a task for each
that waits. So the server reports it in an ASGI extension (`app.state.DISCONNECTED`). Under a server
without it, a client that disconnects in the queue is noticed when it is the request's turn.

It takes two middleware. The first holds requests back before most of the stack has spent time and
memory on them; the last responds to those that were rejected, so that their responses are like all
others: they have CORS headers, and the access log and the metrics count them.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from starlette.responses import Response
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Receive, Scope, Send

from ..errors import VaultBffError
from ..limits.admission import Admission, AdmissionQueue, Ticket
from ..observability.audit import AuditRecord
from ..state import app_state, disconnect_of, request_context

_REJECTION: Final = "vault_bff.rejection"


@dataclass(frozen=True, slots=True, eq=False)
class LimitedRoutes:
    """Routes whose requests share the slots of one queue.

    Attributes:
        queue: gives out the slots.
        routes: the routes. They are matched as the router matches them, so no spelling of a path
            reaches one of them without a slot.
    """

    queue: AdmissionQueue
    routes: Sequence[BaseRoute]


class AdmissionMiddleware:
    """Holds a request back until its queue has decided about it.

    `RejectionMiddleware` must be further in.
    """

    def __init__(self, app: ASGIApp, *, limited: Sequence[LimitedRoutes]) -> None:
        self.app = app
        self._limited = limited

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, as rejected unless it is admitted."""
        found = self._find(scope) if scope["type"] == "http" else None
        if found is None:
            await self.app(scope, receive, send)
            return
        queue, route = found
        ticket = queue.join()
        try:
            decision = ticket.result() if ticket.done() else await _wait(queue, ticket, scope)
            if decision is not Admission.ADMITTED:
                context = request_context(scope)
                context.audit = AuditRecord(queue.resource, started=context.received_at)
                context.admitted = False
                scope[_REJECTION] = queue.errors.get(decision)
                # The access log and the metrics name the route, which no router will find.
                scope["route"] = route
            await self.app(scope, receive, send)
        finally:
            queue.leave(ticket)

    def _find(self, scope: Scope) -> tuple[AdmissionQueue, BaseRoute] | None:
        for limited in self._limited:
            for route in limited.routes:
                match, child_scope = route.matches(scope)
                if match is Match.FULL:
                    return limited.queue, child_scope.get("route", route)
        return None


async def _wait(queue: AdmissionQueue, ticket: Ticket, scope: Scope) -> Admission:
    def leave(_: asyncio.Future[None]) -> None:
        queue.disconnect(ticket)

    disconnected = disconnect_of(scope) or asyncio.Future()
    disconnected.add_done_callback(leave)
    try:
        return await ticket
    except asyncio.CancelledError:
        # The server cancels the requests that are left when the grace period ends. They end with a
        # response. Any other cancellation goes on.
        if not app_state(scope)["shutdown"].begun:
            raise
        return Admission.SHUT_DOWN
    finally:
        disconnected.remove_done_callback(leave)


class RejectionMiddleware:
    """Responds to the requests that were not admitted."""

    def __init__(self, app: ASGIApp, *, respond: Callable[[Exception, Scope], Response]) -> None:
        self.app = app
        self._respond = respond

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass an admitted request on, and respond to any other."""
        if _REJECTION not in scope:
            await self.app(scope, receive, send)
            return
        error: VaultBffError | None = scope[_REJECTION]
        if error is not None:
            await self._respond(error, scope)(scope, receive, send)
