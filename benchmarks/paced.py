"""Open-loop load: requests arrive on schedule, whether or not earlier ones have finished.

A closed loop such as wrk's sends fewer requests to a slow server, and so hides queueing. This load
generator writes prepared bytes and parses responses with httptools: the overhead of a client
library would distort the latency of fast servers.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import httptools
import uvloop

_WARM_UP_SECONDS = 1.0
_GRACE_SECONDS = 10.0
_NO_RESPONSE = 0
"""The status of a request without a response."""
_OVERLOADED = 503


@dataclass(frozen=True)
class PacedResult:
    """Responses during the measurement; later responses are not counted.

    Attributes:
        successful: responses with a 2xx status.
        rejected: responses with a 503.
        errors: other responses, failed connections, and requests without a response ten seconds
            after the last request.
        p50_ms: median latency of the successful responses in milliseconds, from the time at which
            the request was due.
        p99_ms: 99th percentile of that latency in milliseconds.
    """

    successful: int
    rejected: int
    errors: int
    p50_ms: float
    p99_ms: float


class _Connection(asyncio.Protocol):
    """A connection with at most one request in flight."""

    def __init__(self, on_done: Callable[["_Connection", int], None]) -> None:
        self._on_done = on_done
        self._parser = httptools.HttpResponseParser(self)
        self.transport: asyncio.Transport
        self.due: float | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def send(self, request: bytes, due: float) -> None:
        self.due = due
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        self._on_done(self, self._parser.get_status_code())

    def connection_lost(self, _: Exception | None) -> None:
        self._on_done(self, _NO_RESPONSE)


class _Load:
    """Sends requests to one port, each on an idle or a new connection."""

    def __init__(self, port: int, tokens: list[str], start: float, end: float) -> None:
        self._port = port
        self._start, self._end = start, end
        self._idle: list[_Connection] = []
        self._connecting: set[asyncio.Task[None]] = set()
        self.statuses: Counter[int] = Counter()
        self.latencies: list[float] = []
        self.in_flight = 0
        self._requests = [
            b"POST /vault-session HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n"
            b"Authorization: Bearer %b\r\n\r\n" % token.encode()
            for token in tokens
        ]

    def send(self, due: float) -> None:
        """Send one request."""
        self.in_flight += 1
        request = random.choice(self._requests)
        if self._idle:
            self._idle.pop().send(request, due)
        else:
            task = asyncio.create_task(self._connect(request, due))
            self._connecting.add(task)
            task.add_done_callback(self._connecting.discard)

    async def _connect(self, request: bytes, due: float) -> None:
        loop = asyncio.get_running_loop()
        try:
            _, connection = await loop.create_connection(
                lambda: _Connection(self._done), "127.0.0.1", self._port
            )
        except OSError:
            self._count(_NO_RESPONSE, due)
        else:
            connection.send(request, due)

    def _done(self, connection: _Connection, status: int) -> None:
        due, connection.due = connection.due, None
        if due is not None:
            self._count(status, due)
        if status != _NO_RESPONSE and not connection.transport.is_closing():
            self._idle.append(connection)
        elif connection in self._idle:
            self._idle.remove(connection)

    def _count(self, status: int, due: float) -> None:
        self.in_flight -= 1
        now = time.perf_counter()
        if self._start <= now <= self._end:
            self.statuses[status] += 1
            if _is_successful(status):
                self.latencies.append(now - due)


def paced(port: int, tokens: list[str], per_second: float, seconds: float) -> PacedResult:
    """Send requests with random (Poisson) arrivals, after a warm-up of one second.

    Args:
        port: the port of the server.
        tokens: each request has a random one of them.
        per_second: mean number of requests a second.
        seconds: duration of the measurement.
    """
    return uvloop.run(_paced(port, tokens, per_second, seconds))


async def _paced(port: int, tokens: list[str], per_second: float, seconds: float) -> PacedResult:
    generator = random.Random(1)
    due = time.perf_counter()
    start = due + _WARM_UP_SECONDS
    load = _Load(port, tokens, start, start + seconds)
    while due < start + seconds:
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        load.send(due)
        due += generator.expovariate(per_second)
    deadline = time.perf_counter() + _GRACE_SECONDS
    while load.in_flight and time.perf_counter() < deadline:  # noqa: ASYNC110 - the interval is long
        await asyncio.sleep(0.01)
    successful = sum(count for status, count in load.statuses.items() if _is_successful(status))
    rejected = load.statuses[_OVERLOADED]
    errors = load.statuses.total() - successful - rejected + load.in_flight
    if not successful:
        return PacedResult(0, rejected, errors, 0.0, 0.0)
    load.latencies.sort()
    p50, p99 = load.latencies[successful // 2], load.latencies[successful * 99 // 100]
    return PacedResult(successful, rejected, errors, 1000 * p50, 1000 * p99)


def _is_successful(status: int) -> bool:
    return 200 <= status < 300
