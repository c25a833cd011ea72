"""The audit record of a request."""

from fastapi import Request

from ..errors import IdentityError, VaultBffError
from ..observability.audit import AuditRecord, Subject
from ..observability.webhook_audit import DeliveryRecord
from ..state import RequestContext, request_context


def start_audit_record(context: RequestContext, of: Subject) -> AuditRecord:
    """Start the record of a request, and return it.

    `AccessLogMiddleware` writes it when the request ends.

    Args:
        context: the context of the request.
        of: what the request is for.
    """
    context.audit = AuditRecord(of, started=context.received_at)
    return context.audit


def audit_record(request: Request) -> AuditRecord:
    """Return the audit record of a request whose caller is known."""
    record = request_context(request.scope).audit
    assert record is not None  # noqa: S101 - the dependency for the caller has started it
    return record


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
