"""The dependency that makes a request leave an audit event."""

from typing import Annotated

from fastapi import Depends, Request

from app.errors import IdentityError, VaultBffError
from app.observability.audit import AuditRecord
from app.observability.webhook_audit import DeliveryRecord
from app.state import request_context


async def audit_record(request: Request) -> AuditRecord:
    """Start the request's audit record; `AccessLogMiddleware` writes it when the request ends.

    Declare it before the other dependencies, so that requests which those reject are in it, too.
    """
    context = request_context(request.scope)
    context.audit = AuditRecord(started=context.received_at)
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


AuditRecordDep = Annotated[AuditRecord, Depends(audit_record)]
