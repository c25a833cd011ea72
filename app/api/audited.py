"""A kind of route that leaves one audit event behind, however the request ends."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, cast

from fastapi import HTTPException, Request, Response
from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect
from starlette.routing import request_response

from app.api.problem_types import BY_STATUS, INTERNAL_ERROR, SHUTTING_DOWN, problem_type_of
from app.errors import VaultBffError
from app.observability.audit import AuditRecord, Outcome
from app.state import app_state, request_context

_SERVER_ERROR = 500
_NO_TIME_LEFT = "the process ended, SERVER__SHUTDOWN_GRACE_SECONDS after it was told to"


class AuditedRoute(APIRoute):
    """Starts the audit record before anything else happens, and writes it after everything has.

    FastAPI describes such a route, and Starlette calls it: its endpoint takes the request and makes
    the response, so there is nothing to resolve, and resolving nothing costs a tenth of a request.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **description: Any) -> None:
        """Take what FastAPI's own route takes.

        Raises:
            TypeError: something is declared that FastAPI would have to resolve, such as a check of
                who is calling. It would be described, and would not happen.
        """
        super().__init__(path, endpoint, **description)
        declared = self.dependant
        if declared.dependencies or declared.query_params or declared.body_params:
            raise TypeError("an audited route calls what it needs, and declares nothing")
        self.app = request_response(self._audited)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what FastAPI calls where it is asked to call the route itself."""
        return self._audited

    async def _audited(self, request: Request) -> Response:
        request.state.audit = AuditRecord(started=request_context(request.scope).received_at)
        try:
            response: Response = await self.endpoint(request)
        except VaultBffError as error:
            problem = problem_type_of(error)
            outcome: Outcome = "refused" if problem.status < _SERVER_ERROR else "failed"
            _end(request, outcome, problem.slug, error.reason)
            raise
        except HTTPException as error:
            _end(request, "refused", BY_STATUS[error.status_code].slug)
            raise
        except asyncio.CancelledError:
            if app_state(request.scope)["shutdown"].begun:
                _end(request, "failed", SHUTTING_DOWN.slug, _NO_TIME_LEFT)
            else:
                _end(request, "abandoned")
            raise
        except ClientDisconnect:
            _end(request, "abandoned")
            raise
        except Exception:
            _end(request, "failed", INTERNAL_ERROR.slug)
            raise
        _end(request, "minted")
        return response


def _end(
    request: Request, outcome: Outcome, problem: str | None = None, reason: str | None = None
) -> None:
    record = cast("AuditRecord", request.state.audit)
    record.write(outcome, problem=problem, reason=reason)
    counter = app_state(request.scope)["metrics"].sessions
    counter.labels(outcome, record.caller_kind or "unknown", problem or "none").inc()
