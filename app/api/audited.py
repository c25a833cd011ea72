"""A kind of route that leaves one audit event behind, however the request ends."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import HTTPException, Request, Response
from fastapi.routing import APIRoute

from app.api.problem_types import BY_STATUS, INTERNAL_ERROR, problem_type_of
from app.errors import IdentityError, RefusalError, VaultBffError
from app.observability.audit import AuditRecord


class AuditedRoute(APIRoute):
    """Starts the audit record before anything else happens, and writes it after everything has."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return FastAPI's handler with the record around it."""
        handle = super().get_route_handler()

        async def audited(request: Request) -> Response:
            record = request.state.audit = AuditRecord()
            try:
                response = await handle(request)
            except VaultBffError as error:
                refused = isinstance(error, RefusalError | IdentityError)
                problem = problem_type_of(error).slug
                record.write(
                    "refused" if refused else "failed", problem=problem, reason=error.reason
                )
                raise
            except HTTPException as error:
                record.write("refused", problem=BY_STATUS[error.status_code].slug)
                raise
            except asyncio.CancelledError:
                record.write("abandoned")
                raise
            except Exception:
                record.write("failed", problem=INTERNAL_ERROR.slug)
                raise
            record.write("minted")
            return response

        return audited
