"""Answers to everything that goes wrong, in one form: `application/problem+json` (RFC 9457)."""

import http
import math
from collections.abc import Iterable, Mapping
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from app.api.problem_types import (
    BY_STATUS,
    FORBIDDEN_ORIGIN,
    INTERNAL_ERROR,
    INVALID_REQUEST,
    MISDIRECTED,
    ProblemType,
    problem_type_of,
)
from app.errors import (
    FieldError,
    InsufficientScopeError,
    ShuttingDownError,
    UnauthenticatedError,
    VaultBffError,
)
from app.state import request_context

ABANDONED = 499
"""The status of a request whose caller hung up before its answer, as nginx has it."""
MEDIA_TYPE = "application/problem+json"


class Problems:
    """Makes the answers; knows under which URL the service is reached."""

    def __init__(self, public_url: str | None) -> None:
        self._base = public_url or ""

    def uri(self, slug: str) -> str:
        """Return the URI of a type of problem: absolute where the public URL is configured."""
        return f"{self._base}/problems/{slug}"

    def answer(
        self,
        problem: ProblemType,
        detail: str,
        request_id: str | None,
        *,
        errors: Iterable[FieldError] = (),
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """Return the answer for one occurrence of a problem."""
        body: dict[str, Any] = {
            "type": self.uri(problem.slug),
            "title": problem.title,
            "status": problem.status,
            "detail": detail,
            "request_id": request_id,
        }
        if listed := [{"pointer": one.pointer, "detail": one.detail} for one in errors]:
            body["errors"] = listed
        return Response(orjson.dumps(body), problem.status, headers=headers, media_type=MEDIA_TYPE)

    def unexpected(self, request_id: str) -> Response:
        """Return the answer to an error that nobody expected; it tells nothing but the id."""
        detail = "Something went wrong here. The request id finds it in the operator's log."
        return self.answer(INTERNAL_ERROR, detail, request_id)

    def shutting_down(self, request_id: str) -> Response:
        """Return the answer to whom the process has no more time for."""
        detail = "This service is restarting; try again shortly."
        return self.of(ShuttingDownError(detail, retry_after=1), request_id)

    def forbidden_preflight(self) -> Response:
        """Return the answer to a browser that asks on behalf of a page that may not call."""
        return self.answer(FORBIDDEN_ORIGIN, "Pages of this origin may not do this here.", None)

    def unknown_host(self) -> Response:
        """Return the answer to a request for a host that is not served here."""
        return self.answer(MISDIRECTED, "This host name is not served here.", None)

    def unreadable(self, status: int) -> Response:
        """Return the answer to what is no request yet, and so has no id."""
        return self._of_status(status, None)

    def install(self, app: FastAPI) -> None:
        """Have every error of this application answered as a problem."""
        app.add_exception_handler(VaultBffError, self._on_error)
        app.add_exception_handler(ClientDisconnect, self._on_hang_up)
        app.add_exception_handler(HTTPException, self._on_http)
        app.add_exception_handler(RequestValidationError, self._on_validation)

    def of(self, error: VaultBffError, request_id: str) -> Response:
        """Return the answer that an error of ours stands for."""
        more: dict[str, str] = {}
        if isinstance(error, UnauthenticatedError | InsufficientScopeError):
            more["WWW-Authenticate"] = _challenge(error)
        if error.retry_after is not None:
            more["Retry-After"] = str(max(1, math.ceil(error.retry_after)))
        return self.answer(
            problem_type_of(error),
            error.detail,
            request_id,
            errors=error.errors,
            headers=more,
        )

    async def _on_error(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, VaultBffError)  # noqa: S101 - what it is registered for
        return self.of(error, _id(request))

    async def _on_hang_up(self, _: Request, __: Exception) -> Response:
        # Nobody reads it; it ends the request in the same way as every other.
        return Response(status_code=ABANDONED)

    async def _on_http(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101 - what it is registered for
        return self._of_status(error.status_code, _id(request), error.headers)

    async def _on_validation(self, request: Request, _: Exception) -> Response:
        detail = "The request is malformed."
        return self.answer(INVALID_REQUEST, detail, _id(request))

    def _of_status(
        self, status: int, request_id: str | None, headers: Mapping[str, str] | None = None
    ) -> Response:
        problem = BY_STATUS.get(status, BY_STATUS[400])
        detail = f"{http.HTTPStatus(problem.status).phrase}. {problem.remedy}"
        return self.answer(problem, detail, request_id, headers=headers)


def _id(request: Request) -> str:
    return request_context(request.scope).request_id


def _challenge(error: UnauthenticatedError | InsufficientScopeError) -> str:
    """Return what kind of credential is wanted (RFC 6750 section 3)."""
    challenge = 'Bearer realm="vault-bff"'
    if isinstance(error, InsufficientScopeError):
        return f'{challenge}, error="insufficient_scope"'
    return f'{challenge}, error="invalid_token"' if error.presented else challenge
