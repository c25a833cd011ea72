"""The headers that docs/frontend.md recommends for pages that open the Vault."""

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class PageHeadersMiddleware:
    """Adds a strict policy to every page."""

    def __init__(self, app: ASGIApp, *, connect_to: tuple[str, ...], vault: str) -> None:
        self.app = app
        services = " ".join(connect_to)
        self._headers = {
            "content-security-policy": (
                "default-src 'none'; script-src 'self'; style-src 'self'; "
                f"connect-src 'self' {services}; img-src 'self' {services}; "
                f"frame-src https://vaultjs.apideck.com {vault}; base-uri 'none'; "
                "form-action 'self'; frame-ancestors 'none'"
            ),
            # Vault JS authorizes in a pop-up, and needs messages from it.
            "cross-origin-opener-policy": "same-origin-allow-popups",
            "referrer-policy": "same-origin",
            "x-content-type-options": "nosniff",
            "cache-control": "no-cache",
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the app, and add the headers to its response."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(self._headers)
            await send(message)

        await self.app(scope, receive, send_with_headers)
