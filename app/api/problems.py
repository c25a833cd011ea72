"""Responses to everything that goes wrong: `application/problem+json` (RFC 9457)."""

import math
from collections.abc import Callable, Coroutine, Iterable, Mapping
from http import HTTPStatus
from typing import Any, Final

import orjson
from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import Scope

from ..errors import (
    FieldError,
    IdentityError,
    InsufficientScopeError,
    UnauthenticatedError,
    VaultBffError,
)
from ..observability.audit import AuditRecord
from ..observability.webhook_audit import DeliveryRecord
from ..state import CLIENT_CLOSED_REQUEST, request_context
from ..webhooks.errors import InvalidSignatureError
from .field_errors import field_errors
from .problem_type import BLANK, ProblemType
from .problem_types import BY_ERROR, INTERNAL_ERROR, INVALID_REQUEST
from .status_problems import BY_STATUS

MEDIA_TYPE: Final = "application/problem+json"

ExceptionHandler = Callable[[Request, Any], Coroutine[Any, Any, Response]]


class Problems:
    """Makes the response to each error; knows the URL that callers use for this service."""

    def __init__(self, public_url: str | None) -> None:
        self._base = public_url or ""

    def handlers(self) -> dict[int | type[Exception], ExceptionHandler]:
        """Return the exception handlers of the application."""
        handled = (VaultBffError, HTTPException, RequestValidationError)
        return {**dict.fromkeys(handled, self._handle), ClientDisconnect: _client_disconnected}

    def respond(self, error: Exception, scope: Scope) -> Response:
        """Return the response to an error of a request, and note it in the audit record.

        Args:
            error: any error; one that the table does not have is an internal error.
            scope: the ASGI scope of the request.
        """
        context = request_context(scope)
        for record in (context.audit, context.delivery):
            if record is not None:
                _note_error(record, error, problem_type_of(error).slug)
        return self.of(error, context.request_id)

    def unreadable(self, status: int) -> Response:
        """Return the response to bytes that are not a request yet, and so have no id.

        Args:
            status: one of those in `BY_STATUS`.
        """
        return self.of(HTTPException(status), None)

    def of(self, error: Exception, request_id: str | None) -> Response:
        """Return the response to an error.

        Args:
            error: any error; one that the table does not have is an internal error.
            request_id: identifies the request in the log.
        """
        problem = problem_type_of(error)
        if isinstance(error, VaultBffError):
            return self._response(
                problem, error.detail, request_id, errors=error.errors, headers=_headers(error)
            )
        if isinstance(error, HTTPException):
            detail = _detail(error, problem)
            return self._response(problem, detail, request_id, headers=error.headers)
        faults = field_errors(error.errors()) if isinstance(error, RequestValidationError) else ()
        return self._response(problem, problem.detail, request_id, errors=faults)

    def _response(
        self,
        problem: ProblemType,
        detail: str,
        request_id: str | None,
        *,
        errors: Iterable[FieldError] = (),
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        blank = problem.slug == BLANK
        body: dict[str, Any] = {
            "type": BLANK if blank else f"{self._base}/problems/{problem.slug}",
            "title": problem.title,
            "status": problem.status,
            "detail": detail,
            "request_id": request_id,
        }
        if listed := [{"pointer": one.pointer, "detail": one.detail} for one in errors]:
            body["errors"] = listed
        status = int(problem.status)  # An enum would show as such in the console's log format.
        return Response(orjson.dumps(body), status, headers=headers, media_type=MEDIA_TYPE)

    async def _handle(self, request: Request, error: Exception) -> Response:
        return self.respond(error, request.scope)


def _note_error(record: AuditRecord | DeliveryRecord, error: Exception, problem: str) -> None:
    record.problem = problem
    if not isinstance(error, VaultBffError):
        return
    record.reason = error.reason
    if isinstance(record, AuditRecord):
        record.fields = tuple(one.pointer for one in error.errors)
        if isinstance(error, IdentityError):
            record.issuer, record.subject = error.issuer, error.subject


async def _client_disconnected(_: Request, __: Exception) -> Response:
    # The client does not receive it. It completes the request for the server and the access log.
    return Response(status_code=CLIENT_CLOSED_REQUEST)


def problem_type_of(error: Exception) -> ProblemType:
    """Return the type of problem that an error is, whatever the error is."""
    if isinstance(error, VaultBffError):
        return BY_ERROR[type(error)]
    if isinstance(error, HTTPException):
        return BY_STATUS.get(error.status_code) or _blank(error.status_code)
    return INVALID_REQUEST if isinstance(error, RequestValidationError) else INTERNAL_ERROR


def _blank(status: int) -> ProblemType:
    phrase = _phrase(status)
    return ProblemType(BLANK, status, phrase, advice="", detail=INTERNAL_ERROR.detail)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"


def _detail(error: HTTPException, problem: ProblemType) -> str:
    """Return the sentence that the error was raised with, or that of its type."""
    given = error.detail
    # FastAPI allows any JSON value, whatever Starlette's type says.
    is_sentence = isinstance(given, str) and given not in {"", _phrase(error.status_code)}  # type: ignore[redundant-expr]
    return given if is_sentence else problem.detail


def _headers(error: VaultBffError) -> dict[str, str]:
    headers: dict[str, str] = {}
    if isinstance(error, UnauthenticatedError | InsufficientScopeError):
        headers["WWW-Authenticate"] = _challenge(error)
    if isinstance(error, InvalidSignatureError):
        # RFC 9110 section 15.5.2 requires one. Apideck's way to sign has no registered name.
        headers["WWW-Authenticate"] = "ApideckSignature"
    if error.retry_after is not None:
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after)))
    return headers


def _challenge(error: UnauthenticatedError | InsufficientScopeError) -> str:
    """Return what kind of credential is required (RFC 6750 section 3)."""
    challenge = 'Bearer realm="vault-bff"'
    if isinstance(error, InsufficientScopeError):
        return f'{challenge}, error="insufficient_scope"'
    return f'{challenge}, error="invalid_token"' if error.presented else challenge
