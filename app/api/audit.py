"""The dependency that makes a request leave an audit event."""

from typing import Annotated

from fastapi import Depends, Request

from ..errors import IdentityError, VaultBffError
from ..observability.audit import AuditRecord, Subject
from ..observability.webhook_audit import DeliveryRecord
from ..state import request_context


class StartAuditRecord:
    """A dependency that starts the request's audit record.

    `AccessLogMiddleware` writes it when the request ends. Declare it before the other dependencies,
    so that requests which those reject are in it, too.
    """

    def __init__(self, of: Subject) -> None:
        """Take what the requests of the endpoint are for."""
        self._of = of

    async def __call__(self, request: Request) -> AuditRecord:
        """Return the record."""
        context = request_context(request.scope)
        context.audit = AuditRecord(self._of, started=context.received_at)
        return context.audit


def note_error(record: AuditRecord | DeliveryRecord, error: Exception, problem: str) -> None:
    """Add to a record what is known of the request from its error.

    Args:
        record: the record of the request.
        error: what the request ended in.
        problem: the slug of its problem type.
    """
    record.problem = problem
    if isinstance(error, VaultBffError):
        record.reason = error.reason
    if isinstance(record, DeliveryRecord):
        return
    if isinstance(error, VaultBffError):
        record.fields = tuple(one.pointer for one in error.errors)
    if isinstance(error, IdentityError):
        record.issuer, record.subject = error.issuer, error.subject


AuditRecordDep = Annotated[AuditRecord, Depends(StartAuditRecord("vault_session"))]
"""The audit record of a request for a session."""

ConnectionsAuditDep = Annotated[AuditRecord, Depends(StartAuditRecord("vault_connections"))]
"""The audit record of a request for connections."""
