"""An application with session cookies of its own, which answers who somebody is."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from emulators.serving import serve

ADA = {"sub": 7, "org_id": 42, "org_name": "Acme Inc.", "name": "Ada Byron"}


class Application:
    """The application.

    Attributes:
        sessions: what it answers for each value of its cookie.
        seen: the Cookie header of every request.
        status: what it answers instead, where that is not None.
    """

    def __init__(self) -> None:
        self.sessions: dict[str, Any] = {"adas-session": ADA}
        self.seen: list[dict[str, str]] = []
        self.status: int | None = None
        self.app = Starlette(routes=[Route("/whoami", self._whoami)])

    @contextmanager
    def serve(self) -> Iterator[str]:
        """Serve it on loopback; yields the URL that answers who somebody is."""
        with serve(self.app) as url:
            yield f"{url}/whoami"

    async def _whoami(self, request: Request) -> Response:
        self.seen.append(dict(request.headers))
        if self.status == 302:
            return RedirectResponse("/login")
        if self.status is not None:
            return JSONResponse({}, self.status)
        claims = self.sessions.get(request.cookies.get("app_session", ""))
        answer = JSONResponse({"error": "nobody"} if claims is None else claims)
        answer.status_code = 401 if claims is None else 200
        answer.set_cookie("app_session", "renewed")
        return answer
