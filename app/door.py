"""What needs a place, and what is told those whom there is none for."""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import structlog
from prometheus_client import Histogram

from app.api.problem_types import problem_type_of
from app.api.problems import Problems
from app.api.vault_session import PATH
from app.crowded_http import Answer, lines
from app.errors import VaultBffError
from app.middleware.access_log import ABANDONED
from app.middleware.cors import cors_headers
from app.middleware.request_context import HEADER, request_id_of
from app.middleware.security_headers import HEADERS
from app.observability.audit import Outcome
from app.observability.metrics import Metrics
from app.settings import Settings

logger = structlog.get_logger("audit")

_TELL_SECONDS = 1.0
_ORIGIN, _REQUEST_ID = b"origin", HEADER.encode()
_ANSWERS = 256
"""That are kept: a few errors, each for some origins and lengths of an id."""
_ANY = b"~"
"""Stands for a character of an id, and is none: eight or more of them are found nowhere else."""


class _Ended(NamedTuple):
    """How a request ended that nobody began to work on."""

    status: int
    outcome: Outcome
    problem: str | None = None
    reason: str | None = None


class _Made(NamedTuple):
    """The answer to every request that ends in one way, but for its id."""

    ended: _Ended
    headers: bytes
    body: bytes


class Door:
    """Counts whom it turns away, and tells of them together, once a second.

    A line of log, or two, for each of them would cost more than the refusal itself, and so would an
    answer made anew; these are what there are thousands of when the CPU is short.
    """

    def __init__(self, settings: Settings, problems: Problems) -> None:
        self._problems = problems
        self._origins = frozenset(settings.cors.allow_origins)
        self._cookies = settings.identity.uses_cookies
        self._metrics: Metrics | None = None
        self._seconds: Histogram
        self._untold: Counter[_Ended] = Counter()
        self._made = lru_cache(maxsize=_ANSWERS)(self._make)

    def guards(self, scope: Mapping[str, Any]) -> bool:
        """Tell whether a request needs a place: those for a session do."""
        # Starlette's patterns end with `$`, which is before a last line feed, too.
        path: str = scope["path"].removesuffix("\n")
        return path == PATH and scope["method"] == "POST"

    def answer(self, scope: Mapping[str, Any], error: VaultBffError) -> Answer:
        """Return the answer to a request that there is no place for.

        The middleware sees none of it, so their headers are put on here.
        """
        # The first of each name, as the middleware has it.
        sent = dict(reversed(scope["headers"]))
        request_id = request_id_of(sent.get(_REQUEST_ID, b"").decode("latin-1"))
        origin = sent.get(_ORIGIN, b"").decode("latin-1")
        ended, headers, body = self._made(
            error, origin if origin in self._origins else "", len(request_id)
        )
        self._count(scope, ended)
        any_id, own = _ANY * len(request_id), request_id.encode()
        return ended.status, headers.replace(any_id, own), body.replace(any_id, own)

    def _make(self, error: VaultBffError, origin: str, id_length: int) -> _Made:
        any_id = _ANY.decode() * id_length
        problem = problem_type_of(error)
        answer = self._problems.of(error, any_id)
        cors = cors_headers(origin, self._origins, cookies=self._cookies)
        headers = {**answer.headers, **HEADERS, **cors, HEADER: any_id}
        ended = _Ended(problem.status, "failed", problem.slug, error.reason)
        return _Made(ended, lines(headers), bytes(answer.body))

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
        if self._metrics is None:
            self._metrics = scope["state"]["metrics"]
            self._seconds = self._metrics.request_seconds.labels(PATH)
        # Each by itself: it is another time for each.
        self._seconds.observe(time.perf_counter() - scope["state"]["came"])
        if not self._untold:
            asyncio.get_running_loop().call_later(_TELL_SECONDS, self.tell)
        self._untold[ended] += 1
