"""Serves the configured host names only."""

from collections.abc import Callable, Collection
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send


class AllowedHostsMiddleware:
    """Rejects requests for any other host.

    Nothing else in the service depends on the Host header. This stops requests early that were
    meant for another server, or were sent to provoke a mistake. `hosts` are lower-case names
    without a port.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        hosts: Collection[str],
        respond: Callable[[Exception, Scope], Response],
    ) -> None:
        self.app = app
        self._hosts = frozenset(hosts)
        self._respond = respond

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on if its host is an allowed one."""
        app = self.app
        if scope["type"] == "http":
            host = Headers(scope=scope).get("host", "").partition(":")[0].lower()
            if host not in self._hosts:
                app = self._respond(HTTPException(HTTPStatus.MISDIRECTED_REQUEST), scope)
        await app(scope, receive, send)
