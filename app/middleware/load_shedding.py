"""Turns requests away when more are in flight than can be worked on."""

from collections.abc import Callable

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from app.errors import OverloadedError
from app.limits.gate import Gate
from app.observability.metrics import Metrics


class LoadSheddingMiddleware:
    """Sends every request of one route through a gate, before anything has been done for it."""

    def __init__(
        self,
        app: ASGIApp,
        gate: Gate,
        route: tuple[str, str],
        metrics: Metrics,
        refuse: Callable[[OverloadedError, str], Response],
    ) -> None:
        """Take the gate, and what goes through it.

        Args:
            app: the rest of the application.
            gate: lets so many in at the same time.
            route: method and path. Probes and metrics never queue.
            metrics: is told of whom the gate turned away.
            refuse: makes the answer to them, from an error and a request id.
        """
        self.app = app
        self._gate = gate
        self._route = route
        self._shed = metrics.shed
        self._refuse = refuse
        metrics.waiting.set_function(lambda: gate.waiting)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on once there is a place for it."""
        if scope["type"] != "http" or (scope["method"], scope["path"]) != self._route:
            await self.app(scope, receive, send)
            return
        try:
            await self._gate.enter()
        except OverloadedError as error:
            self._shed.inc()
            await self._refuse(error, scope["state"]["request_id"])(scope, receive, send)
            return
        try:
            await self.app(scope, receive, send)
        finally:
            self._gate.leave()
