"""Cross-origin requests: Starlette's own middleware, with refusals in the service's own form."""

from collections.abc import Callable, Collection

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp

ALLOWED_HEADERS = ("content-type", "x-request-id")
EXPOSED_HEADERS = ("x-request-id", "retry-after", "ratelimit", "ratelimit-policy")
MAX_AGE_SECONDS = 600


def cors_headers(origin: str, allowed: Collection[str], *, cookies: bool) -> dict[str, str]:
    """Return the headers of an answer that the middleware does not see.

    Args:
        origin: of the page that asks; empty for whoever is none.
        allowed: the origins whose pages may read the answer; the middleware is there if any is.
        cookies: whether these may have the browser send cookies along.
    """
    headers = {"vary": "Origin"} if allowed else {}
    if origin in allowed:
        headers["access-control-allow-origin"] = origin
        headers["access-control-expose-headers"] = ", ".join(EXPOSED_HEADERS)
        if cookies:
            headers["access-control-allow-credentials"] = "true"
    return headers


class ExactOriginsMiddleware(CORSMiddleware):
    """Lets the pages of exactly these origins call from a browser."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        origins: tuple[str, ...],
        credential_headers: tuple[str, ...],
        cookies: bool,
        refuse: Callable[[], Response],
    ) -> None:
        """Take whom to let call, and how.

        Args:
            app: the rest of the application.
            origins: exact origins, as browsers send them.
            credential_headers: the headers that a page may have to set to prove who is calling.
            cookies: whether a page may have the browser send cookies along.
            refuse: makes the answer to a page that may not call.
        """
        super().__init__(
            app,
            allow_origins=origins,
            allow_methods=("POST",),
            allow_headers=(*ALLOWED_HEADERS, *credential_headers),
            allow_credentials=cookies,
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
