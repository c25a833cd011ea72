"""The CPU of a request, for all contestants side by side.

All servers run at the same time on one core. They get small batches of requests in turn, in a
different random order in each round. A change of the machine's speed affects all contestants of a
round equally, so ratios are computed within a round. CPU is measured in nanoseconds by the Linux
scheduler (/proc/PID/task/TID/schedstat, see https://docs.kernel.org/scheduler/sched-stats.html).
"""

import asyncio
import contextlib
import itertools
import math
import random
import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import aiohttp

from benchmarks.contestants import (
    API_KEY,
    CACHING_FASTAPI,
    CACHING_FASTIFY,
    CAREFUL_FASTAPI,
    CAREFUL_FASTIFY,
    EVENTS,
    LISTS,
    MINIMAL,
    OURS,
    Contestant,
    Run,
)
from benchmarks.operations import EVENT, LIST, SESSION, Operation
from benchmarks.samples import signed_events
from benchmarks.servers import Server, serving
from emulators.issuer import DevelopmentIssuer

BATCH = 96
"""Requests in a batch."""
CONNECTIONS = 64
WARM_UP_BATCHES = 6
ROUNDS_WITH_ONE_START = 25
"""After this many rounds the servers are restarted: the memory layout of a process changes the CPU
of the same code by several percent."""

Batches = Mapping[str, list[float]]
"""CPU milliseconds for each request, by row and round."""


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        name: the line's title.
        contestant: the server; rows can share one.
        seen: whether each token was sent before.
        operation: the request.
        size: requests in a batch.
    """

    name: str
    contestant: Contestant
    seen: bool = False
    operation: Operation = SESSION
    size: int = BATCH


FIRST_SEEN = "token seen for the first time"
SEEN_BEFORE = "token seen before"
TYPICAL = Row(f"vault-bff, {FIRST_SEEN}", OURS)
REFERENCE = Row("starlette-aiohttp, no checks", MINIMAL)
CAREFUL = Row(f"careful FastAPI, {FIRST_SEEN}", CAREFUL_FASTAPI)
COST_TEST_ROWS = (REFERENCE, TYPICAL, CAREFUL)
"""The rows that `tests/e2e/test_cost.py` measures."""
ROWS = (
    *COST_TEST_ROWS,
    Row(f"vault-bff, {FIRST_SEEN}, again", OURS),
    Row(f"vault-bff, {SEEN_BEFORE}", OURS, seen=True),
    Row(f"careful FastAPI, {SEEN_BEFORE}", CACHING_FASTAPI, seen=True),
    Row(f"careful Fastify, {FIRST_SEEN}", CAREFUL_FASTIFY),
    Row(f"careful Fastify, {SEEN_BEFORE}", CACHING_FASTIFY, seen=True),
    Row("vault-bff, a list of 300 connectors", LISTS, seen=True, operation=LIST, size=8),
    Row("vault-bff, a relayed event", EVENTS, seen=True, operation=EVENT),
)


class BatchRunner:
    """Sends batches of requests to the servers, and measures their CPU."""

    def __init__(self, issuer: DevelopmentIssuer, rows: Iterable[Row]) -> None:
        self.rows = list(rows)
        self._names = itertools.count()
        self._issuer = issuer
        self._seen = self._tokens(BATCH)
        self._events = signed_events(BATCH, API_KEY)
        self.batches: dict[str, list[float]] = {row.name: [] for row in self.rows}

    async def run(self, servers: Mapping[str, tuple[Server, Run]], rounds: int) -> None:
        """Send batches, and add the CPU of each to `batches`.

        Args:
            servers: the servers of the rows, by the contestant's name.
            rounds: the number of batches for each row, after the warm-up.

        Raises:
            AssertionError: a response was not successful.
        """
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector) as client:
            for number in range(WARM_UP_BATCHES + rounds):
                for row in random.sample(self.rows, len(self.rows)):
                    cost = await self._batch(client, row, *servers[row.contestant.name])
                    if number >= WARM_UP_BATCHES:
                        self.batches[row.name].append(cost)

    def _tokens(self, count: int) -> list[str]:
        return [
            self._issuer.token(sub=f"person-{next(self._names)}", expires_in=86_400)
            for _ in range(count)
        ]

    async def _batch(
        self, client: aiohttp.ClientSession, row: Row, server: Server, run: Run
    ) -> float:
        if row.operation is EVENT:
            credentials = self._events
        else:
            credentials = self._seen if row.seen else self._tokens(row.size)
        url = f"http://127.0.0.1:{run.port}{row.operation.path}"
        remaining = iter(credentials[: row.size])

        async def connection() -> None:
            for credential in remaining:
                value, _, body = credential.partition("\t")
                headers = dict(row.contestant.headers(value))
                async with client.request(
                    row.operation.method,
                    url,
                    headers=headers,
                    data=body or None,
                    skip_auto_headers=["content-type"],
                ) as response:
                    await response.read()
                    assert response.ok, f"{row.name}: {response.status}"

        before = server.cpu_nanoseconds()
        await asyncio.gather(*(connection() for _ in range(min(CONNECTIONS, row.size))))
        return (server.cpu_nanoseconds() - before) / 1e6 / row.size


def measured(
    issuer: DevelopmentIssuer,
    rows: Iterable[Row],
    rounds: int,
    run_for: Callable[[], Run],
    enough: Callable[[Batches], bool] = lambda _: False,
) -> Batches:
    """Return the CPU of all rows.

    Args:
        issuer: signs the tokens.
        rows: the rows to measure.
        rounds: the maximum number of batches for each row.
        run_for: returns the ports and addresses for one more server.
        enough: returns whether the rounds so far are enough; called before each restart of the
            servers.
    """
    runner = BatchRunner(issuer, rows)
    contestants = {row.contestant.name: row.contestant for row in runner.rows}
    done = 0
    while done < rounds and not (done and enough(runner.batches)):
        count = min(ROUNDS_WITH_ONE_START, rounds - done)
        with contextlib.ExitStack() as stack:
            servers: dict[str, tuple[Server, Run]] = {}
            for name, contestant in contestants.items():
                run = run_for()
                servers[name] = (stack.enter_context(serving(contestant, run)), run)
            asyncio.run(runner.run(servers, count))
        done += count
    return runner.batches


def ratio(batches: Batches, numerator: str, denominator: str) -> tuple[float, float]:
    """Return the median of the ratios within rounds, and its standard error.

    The standard error of a median of n values with standard deviation s is about 1.253 s / √n; s is
    estimated by the median absolute deviation, because outliers do not change it.
    """
    pairs = zip(batches[numerator], batches[denominator], strict=True)
    ratios = [one / other for one, other in pairs]
    middle = statistics.median(ratios)
    deviation = 1.4826 * statistics.median(abs(one - middle) for one in ratios)
    return middle, 1.253 * deviation / math.sqrt(len(ratios))


def table(batches: Batches) -> Iterator[str]:
    """Yield the lines of the table, in Markdown."""
    yield "| contestant | CPU ms a request | times starlette-aiohttp | times careful FastAPI |"
    yield "| --- | ---: | ---: | ---: |"
    for name, costs in batches.items():
        ratios = " | ".join(
            "{:.2f} ± {:.2f}".format(*ratio(batches, name, other.name))
            for other in (REFERENCE, CAREFUL)
        )
        yield f"| {name} | {statistics.median(costs):.3f} | {ratios} |"
