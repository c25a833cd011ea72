"""An application with cookie sessions, and its "who am I" endpoint."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from emulators.serving import serve

ADA = {"sub": 7, "org_id": 42, "org_name": "Acme Inc.", "name": "Ada Byron"}


class CookieSessionApp:
    """The application.

    Attributes:
        sessions: the claims in its responses, by the value of its cookie or by the whole Cookie
            header.
        received: the headers of every request.
        status: the status of every response, unless it is None.
        status_for_unknown: the status of the response to an unknown cookie.
    """

    def __init__(self) -> None:
        self.sessions: dict[str, Any] = {"adas-session": ADA}
        self.received: list[dict[str, str]] = []
        self.status: int | None = None
        self.status_for_unknown = 401
        self.app = Starlette(routes=[Route("/whoami", self._whoami)])

    @contextmanager
    def serve(self) -> Iterator[str]:
        """Serve it on loopback; yields the URL of the "who am I" endpoint."""
        with serve(self.app) as url:
            yield f"{url}/whoami"

    async def _whoami(self, request: Request) -> Response:
        self.received.append(dict(request.headers))
        if self.status == 302:
            return RedirectResponse("/login")
        if self.status is not None:
            return JSONResponse({}, self.status)
        value = request.cookies.get("app_session", "")
        claims = self.sessions.get(request.headers.get("cookie", ""), self.sessions.get(value))
        response = JSONResponse({"error": "not signed in"} if claims is None else claims)
        response.status_code = self.status_for_unknown if claims is None else 200
        response.set_cookie("app_session", "renewed")
        return response
