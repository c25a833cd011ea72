"""The dependency that makes a request leave an audit event."""

from typing import Annotated

from fastapi import Depends, Request

from app.observability.audit import AuditRecord
from app.state import request_context


async def audit_record(request: Request) -> AuditRecord:
    """Start the request's audit record; `AccessLogMiddleware` writes it when the request ends.

    Declare it before the other dependencies, so that requests which those reject are in it, too.
    """
    context = request_context(request.scope)
    context.audit = AuditRecord(started=context.received_at)
    return context.audit


AuditRecordDep = Annotated[AuditRecord, Depends(audit_record)]
