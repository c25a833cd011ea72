"""Cross-origin requests: Starlette's own middleware, with refusals in the service's own form."""

from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp

ALLOWED_HEADERS = ("authorization", "content-type", "x-request-id")
EXPOSED_HEADERS = ("x-request-id", "retry-after")
MAX_AGE_SECONDS = 600


class ExactOriginsMiddleware(CORSMiddleware):
    """Lets the pages of exactly these origins call from a browser."""

    def __init__(
        self, app: ASGIApp, origins: tuple[str, ...], refuse: Callable[[], Response]
    ) -> None:
        super().__init__(
            app,
            allow_origins=origins,
            allow_methods=("POST",),
            allow_headers=ALLOWED_HEADERS,
            expose_headers=EXPOSED_HEADERS,
            max_age=MAX_AGE_SECONDS,
        )
        self._refuse = refuse

    def preflight_response(self, request_headers: Headers) -> Response:
        """Answer a preflight request; a refused one gets the service's own kind of problem."""
        answer = super().preflight_response(request_headers)
        if answer.status_code < 400:  # noqa: PLR2004 - the first status that is an error
            return answer
        refusal = self._refuse()
        refusal.headers["Vary"] = answer.headers["Vary"]
        return refusal
