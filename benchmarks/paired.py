"""CPU for each request, of all contestants side by side.

All servers run at once on one core. They get small batches of requests in turn, in a shuffled order
that is different in each round. A change of the machine's speed hits all contestants of a round
alike, so ratios are taken within a round. CPU is in nanoseconds, as the Linux scheduler counts it
(/proc/PID/task/TID/schedstat, see https://docs.kernel.org/scheduler/sched-stats.html).
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
    CAREFUL_FASTAPI,
    CAREFUL_FASTIFY,
    EVENTS,
    LISTS,
    MINIMAL,
    OURS,
    REMEMBERING_FASTAPI,
    REMEMBERING_FASTIFY,
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
"""After these the servers are started again: the same code costs several percent more or less in
another process, whose memory is laid out differently."""

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
GUARDED = (REFERENCE, TYPICAL, CAREFUL)
"""What `tests/e2e/test_cost.py` measures."""
ROWS = (
    *GUARDED,
    Row(f"vault-bff, {FIRST_SEEN}, again", OURS),
    Row(f"vault-bff, {SEEN_BEFORE}", OURS, seen=True),
    Row(f"careful FastAPI, {SEEN_BEFORE}", REMEMBERING_FASTAPI, seen=True),
    Row(f"careful Fastify, {FIRST_SEEN}", CAREFUL_FASTIFY),
    Row(f"careful Fastify, {SEEN_BEFORE}", REMEMBERING_FASTIFY, seen=True),
    Row("vault-bff, a list of 300 connectors", LISTS, seen=True, operation=LIST, size=8),
    Row("vault-bff, a relayed event", EVENTS, seen=True, operation=EVENT),
)


class Course:
    """The servers, and the requests for them."""

    def __init__(self, issuer: DevelopmentIssuer, rows: Iterable[Row]) -> None:
        self.rows = list(rows)
        self._names = itertools.count()
        self._issuer = issuer
        self._seen = self._tokens(BATCH)
        self._events = signed_events(BATCH, API_KEY)
        self.batches: dict[str, list[float]] = {row.name: [] for row in self.rows}

    async def run(self, servers: Mapping[str, tuple[Server, Run]], rounds: int) -> None:
        """Send batches, and add what each cost to `batches`.

        Args:
            servers: the servers of the rows, by the contestant's name.
            rounds: how many batches each row gets, after the warm-up.

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
        left = iter(credentials[: row.size])

        async def connection() -> None:
            for credential in left:
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
        rows: what is measured.
        rounds: the largest number of batches for each row.
        run_for: returns the ports and addresses for one more server.
        enough: whether the rounds so far are enough; called each time before the servers are
            started again.
    """
    course = Course(issuer, rows)
    contestants = {row.contestant.name: row.contestant for row in course.rows}
    done = 0
    while done < rounds and not (done and enough(course.batches)):
        now = min(ROUNDS_WITH_ONE_START, rounds - done)
        with contextlib.ExitStack() as stack:
            servers: dict[str, tuple[Server, Run]] = {}
            for name, contestant in contestants.items():
                run = run_for()
                servers[name] = (stack.enter_context(serving(contestant, run)), run)
            asyncio.run(course.run(servers, now))
        done += now
    return course.batches


def ratio(batches: Batches, over: str, under: str) -> tuple[float, float]:
    """Return the median of a ratio within rounds, and its standard error.

    The standard error of a median of n values with standard deviation s is about 1.253 s / √n; s is
    taken from the median of the deviations, which outliers do not change.
    """
    ratios = [one / other for one, other in zip(batches[over], batches[under], strict=True)]
    middle = statistics.median(ratios)
    deviation = 1.4826 * statistics.median(abs(one - middle) for one in ratios)
    return middle, 1.253 * deviation / math.sqrt(len(ratios))


def table(batches: Batches) -> Iterator[str]:
    """Yield the lines of the table, in Markdown."""
    yield "| contestant | CPU ms a request | times starlette-aiohttp | times careful FastAPI |"
    yield "| --- | ---: | ---: | ---: |"
    for name, costs in batches.items():
        against = " | ".join(
            "{:.2f} ± {:.2f}".format(*ratio(batches, name, other.name))
            for other in (REFERENCE, CAREFUL)
        )
        yield f"| {name} | {statistics.median(costs):.3f} | {against} |"
