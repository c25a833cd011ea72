"""Serves the configured host names only: Starlette's own middleware, refusing in our own form."""

from collections.abc import Callable

from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_KNOWN = "vault_bff.known_host"


class AllowedHostsMiddleware:
    """Refuses requests for any other host.

    No decision is made on the Host header anywhere else; this keeps requests that were meant for
    somebody else, or sent to provoke a mistake, from getting any further.
    """

    def __init__(
        self, app: ASGIApp, *, hosts: tuple[str, ...], refuse: Callable[[], Response]
    ) -> None:
        self._app = app
        self._refuse = refuse
        self._check = TrustedHostMiddleware(_mark, allowed_hosts=hosts, www_redirect=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on when its host is a known one."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        await self._check(scope, receive, _discard)
        if scope.pop(_KNOWN, False):
            await self._app(scope, receive, send)
        else:
            await self._refuse()(scope, receive, send)


async def _mark(scope: Scope, _: Receive, __: Send) -> None:
    scope[_KNOWN] = True


async def _discard(_: Message) -> None:
    """Drop Starlette's own refusal, which is plain text."""
