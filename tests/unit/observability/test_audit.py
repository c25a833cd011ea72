"""The audit event that counts the requests that were not admitted."""

import asyncio
from collections.abc import Iterator

import pytest
import structlog
from structlog.testing import capture_logs

from app.observability import audit
from app.observability.audit import AuditRecord, RejectionSummary


@pytest.fixture
def _immediate_summaries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "_SUMMARY_SECONDS", 0)


@pytest.fixture
def _request_id() -> Iterator[None]:
    tokens = structlog.contextvars.bind_contextvars(request_id="of-one-request")
    yield
    structlog.contextvars.reset_contextvars(**tokens)


@pytest.mark.usefixtures("_immediate_summaries", "_request_id")
async def test_rejections_with_the_same_result_share_an_event() -> None:
    """The event has their number, and no fields of a single request."""
    full, late = AuditRecord(problem="p", reason="full"), AuditRecord(problem="p", reason="late")
    summary = RejectionSummary()
    with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as events:
        for record in (full, late, full):
            summary.add("failed", record)
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    common = {"event": "vault_sessions_turned_away", "log_level": "warning"}
    assert events == [
        {**common, "count": 2, "outcome": "failed", "problem": "p", "reason": "full"},
        {**common, "count": 1, "outcome": "failed", "problem": "p", "reason": "late"},
    ]


async def test_a_rejection_is_written_in_only_one_summary() -> None:
    """If no request was rejected since the last summary, nothing is written."""
    summary = RejectionSummary()
    summary.add("abandoned", AuditRecord())
    with capture_logs() as events:
        summary.write()
        summary.write()

    assert [(one["count"], one["outcome"]) for one in events] == [(1, "abandoned")]
