"""What needs a place, and what is told those whom there is none for."""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

import structlog

from app.api.problem_types import problem_type_of
from app.api.problems import Problems
from app.api.vault_session import PATH
from app.crowded_http import Answer
from app.errors import VaultBffError
from app.middleware.access_log import ABANDONED
from app.middleware.cors import cors_headers
from app.middleware.request_id import HEADER, request_id_of
from app.middleware.security_headers import HEADERS
from app.observability.audit import Outcome
from app.observability.metrics import Metrics
from app.settings import Settings
from app.state import came

logger = structlog.get_logger("audit")

_TELL_SECONDS = 1.0
_ORIGIN, _REQUEST_ID = b"origin", HEADER.encode()


class _Ended(NamedTuple):
    """How a request ended that nobody began to work on."""

    status: int
    outcome: Outcome
    problem: str | None = None
    reason: str | None = None


class Door:
    """Counts whom it turns away, and tells of them together, once a second.

    A line of log, or two, for each of them would cost more than the refusal itself, and these are
    what there are thousands of when the CPU is short.
    """

    def __init__(self, settings: Settings, problems: Problems) -> None:
        self._problems = problems
        self._origins = frozenset(settings.cors.allow_origins)
        self._cookies = settings.identity.uses_cookies
        self._metrics: Metrics | None = None
        self._untold: Counter[_Ended] = Counter()

    def guards(self, scope: Mapping[str, Any]) -> bool:
        """Tell whether a request needs a place: those for a session do."""
        # Starlette's patterns end with `$`, which is before a last line feed, too.
        path: str = scope["path"].removesuffix("\n")
        return path == PATH and scope["method"] == "POST"

    def answer(self, scope: Mapping[str, Any], error: VaultBffError) -> Answer:
        """Return the answer to a request that there is no place for.

        The middleware sees none of it, so their headers are put on here.
        """
        problem = problem_type_of(error)
        self._count(scope, _Ended(problem.status, "failed", problem.slug, error.reason))
        # The first of each name, as the middleware has it.
        sent = dict(reversed(scope["headers"]))
        request_id = request_id_of(sent.get(_REQUEST_ID, b"").decode("latin-1"))
        origin = sent.get(_ORIGIN, b"").decode("latin-1")
        cors = cors_headers(origin, self._origins, cookies=self._cookies)
        answer = self._problems.of(error, request_id)
        headers = {**answer.headers, **HEADERS, **cors, HEADER: request_id}
        return answer.status_code, headers, bytes(answer.body)

    def note_gone(self, scope: Mapping[str, Any]) -> None:
        """Count a caller who hung up while waiting for a place."""
        self._count(scope, _Ended(ABANDONED, "abandoned"))

    def tell(self) -> None:
        """Write what was not told yet."""
        untold, self._untold = self._untold, Counter()
        for ended, number in untold.items():
            assert self._metrics is not None  # noqa: S101 - set where it is counted
            self._metrics.requests.labels("POST", PATH, ended.status).inc(number)
            self._metrics.sessions.labels(ended.outcome, "unknown", ended.problem or "none").inc(
                number
            )
            logger.warning(
                "vault_sessions_turned_away",
                count=number,
                outcome=ended.outcome,
                problem=ended.problem,
                reason=ended.reason,
            )

    def _count(self, scope: Mapping[str, Any], ended: _Ended) -> None:
        self._metrics = scope["state"]["metrics"]
        # Each by itself: it is another time for each.
        self._metrics.request_seconds.labels(PATH).observe(time.perf_counter() - came(scope))
        if not self._untold:
            asyncio.get_running_loop().call_later(_TELL_SECONDS, self.tell)
        self._untold[ended] += 1
