"""Identity without sockets and without waiting: a clock that is set, a network that is prepared."""

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx

from app.errors import VaultBffError
from app.identity.fetch import Fetcher
from app.observability.metrics import Metrics


class Clock:
    """A clock that stands still until it is told otherwise."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        """Return the seconds on the clock."""
        return self.now


class Body(httpx.AsyncByteStream):
    """A body that comes in pieces, and knows whether it was let go of."""

    def __init__(self, *chunks: bytes) -> None:
        self.chunks = chunks
        self.closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self.chunks:
            yield chunk

    async def aclose(self) -> None:
        """Let go of it."""
        self.closed = True


class Network:
    """Answers out of a table, and remembers what was asked.

    Attributes:
        answers: by URL, a status, an error to raise, a body, an answer, what makes one when it is
            awaited, or a document to answer with.
        asked: the requests, in their order.
        fetcher: asks here.
    """

    def __init__(self, answers: Mapping[str, Any] | None = None) -> None:
        self.answers: dict[str, Any] = dict(answers or {})
        self.asked: list[httpx.Request] = []
        self.metrics = Metrics()
        self.fetcher = self.fetcher_with(timeout_seconds=5.0)

    def fetcher_with(self, timeout_seconds: float, **more: Any) -> Fetcher:
        """Return another one that asks here."""
        http = httpx.AsyncClient(transport=httpx.MockTransport(self._answer), trust_env=False)
        return Fetcher(http, timeout_seconds, self.metrics, **more)

    def urls(self) -> list[str]:
        """Return what was asked for."""
        return [str(request.url) for request in self.asked]

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        answer = self.answers.get(str(request.url), 404)
        if isinstance(answer, Exception):
            raise answer
        if callable(answer):
            answer = await answer()
        if isinstance(answer, httpx.Response):
            return answer
        if isinstance(answer, int):
            return httpx.Response(answer, stream=Body(b"{}"))
        if isinstance(answer, bytes):
            return httpx.Response(200, stream=Body(answer))
        return httpx.Response(200, stream=Body(json.dumps(answer).encode()))


def told(error: VaultBffError) -> tuple[str, str | None]:
    """Return what an error tells the caller, and what it tells the operator."""
    return error.detail, error.reason
