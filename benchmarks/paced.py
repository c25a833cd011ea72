"""Load whose requests arrive when they do, whatever became of the last ones.

A closed loop, as wrk has it, asks less of whoever is slow, and so hides how long people would wait.
Requests are written as they are, and answers read by httptools: with a client library in between,
most of what was measured of a fast server would be the load's own.
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
_PATIENCE_SECONDS = 10.0
_BROKEN = 0
"""What stands in for a status where there was no answer."""
_TURNED_AWAY = 503


@dataclass(frozen=True)
class Seen:
    """What came of it while requests arrived; what came after that is not counted.

    Attributes:
        good: answers with a session.
        turned_away: answers with a 503.
        errors: everything else, and what was not there ten seconds after the last request.
        p50_ms: half of the good answers were there so soon after their request was due.
        p99_ms: 99 of 100 of them.
    """

    good: int
    turned_away: int
    errors: int
    p50_ms: float
    p99_ms: float


class _Connection(asyncio.Protocol):
    """One connection, with one request on it at a time."""

    def __init__(self, when_done: Callable[["_Connection", int], None]) -> None:
        self._when_done = when_done
        self._parser = httptools.HttpResponseParser(self)
        self.transport: asyncio.Transport
        self.due: float | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def ask(self, request: bytes, due: float) -> None:
        self.due = due
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        self._when_done(self, self._parser.get_status_code())

    def connection_lost(self, _: Exception | None) -> None:
        self._when_done(self, _BROKEN)


class _Load:
    """Requests to one port, each on a connection that is free, or on a new one."""

    def __init__(self, port: int, tokens: list[str], begins: float, ends: float) -> None:
        self._port = port
        self._begins, self._ends = begins, ends
        self._free: list[_Connection] = []
        self._making: set[asyncio.Task[None]] = set()
        self.statuses: Counter[int] = Counter()
        self.latencies: list[float] = []
        self.under_way = 0
        self._requests = [
            b"POST /vault-session HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n"
            b"Authorization: Bearer %b\r\n\r\n" % token.encode()
            for token in tokens
        ]

    def ask(self, due: float) -> None:
        """Send one request."""
        self.under_way += 1
        request = random.choice(self._requests)
        if self._free:
            self._free.pop().ask(request, due)
        else:
            task = asyncio.create_task(self._connect(request, due))
            self._making.add(task)
            task.add_done_callback(self._making.discard)

    async def _connect(self, request: bytes, due: float) -> None:
        loop = asyncio.get_running_loop()
        try:
            _, connection = await loop.create_connection(
                lambda: _Connection(self._done), "127.0.0.1", self._port
            )
        except OSError:
            self._count(_BROKEN, due)
        else:
            connection.ask(request, due)

    def _done(self, connection: _Connection, status: int) -> None:
        due, connection.due = connection.due, None
        if due is not None:
            self._count(status, due)
        if status != _BROKEN and not connection.transport.is_closing():
            self._free.append(connection)
        elif connection in self._free:
            self._free.remove(connection)

    def _count(self, status: int, due: float) -> None:
        self.under_way -= 1
        now = time.perf_counter()
        if self._begins <= now <= self._ends:
            self.statuses[status] += 1
            if _is_good(status):
                self.latencies.append(now - due)


def paced(port: int, tokens: list[str], per_second: float, seconds: float) -> Seen:
    """Ask so often for so long, at moments of chance (Poisson), after a second of warming up."""
    return uvloop.run(_paced(port, tokens, per_second, seconds))


async def _paced(port: int, tokens: list[str], per_second: float, seconds: float) -> Seen:
    chance = random.Random(1)
    due = time.perf_counter()
    begins = due + _WARM_UP_SECONDS
    load = _Load(port, tokens, begins, begins + seconds)
    while due < begins + seconds:
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        load.ask(due)
        due += chance.expovariate(per_second)
    until = time.perf_counter() + _PATIENCE_SECONDS
    while load.under_way and time.perf_counter() < until:  # noqa: ASYNC110 - it is polled seldom
        await asyncio.sleep(0.01)
    good = sum(number for status, number in load.statuses.items() if _is_good(status))
    turned_away = load.statuses[_TURNED_AWAY]
    errors = load.statuses.total() - good - turned_away + load.under_way
    if not good:
        return Seen(0, turned_away, errors, 0.0, 0.0)
    load.latencies.sort()
    middle, tail = load.latencies[good // 2], load.latencies[good * 99 // 100]
    return Seen(good, turned_away, errors, 1000 * middle, 1000 * tail)


def _is_good(status: int) -> bool:
    return 200 <= status < 300
