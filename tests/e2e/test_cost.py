"""That a request does not cost much more CPU than it has to."""

import asyncio
import itertools
from pathlib import Path

import aiohttp
import pytest

from benchmarks.contestants import MINIMAL, OURS, Contestant, Run
from benchmarks.servers import Server, serving, upstream
from emulators.issuer import DevelopmentIssuer
from tests.support.http import bearer
from tests.support.ports import free_ports

pytestmark = pytest.mark.serial

REQUESTS = 1200
AT_MOST = 6
"""Times the CPU of a minimal server; `make bench` measures about half of that."""


async def load(run: Run, tokens: list[str], count: int) -> None:
    """Send this many requests, sixteen at a time."""
    turns = itertools.count()

    async def client(http: aiohttp.ClientSession) -> None:
        while (turn := next(turns)) < count:
            url = f"http://127.0.0.1:{run.port}/vault-session"
            async with http.post(url, headers=bearer(tokens[turn % len(tokens)])) as response:
                await response.read()
                assert response.status == 201

    async with aiohttp.ClientSession() as http:
        await asyncio.gather(*(client(http) for _ in range(16)))


async def cpu_of(contestant: Contestant, run: Run, tokens: list[str]) -> float:
    """Return the CPU seconds that a server takes for all requests, after a warm-up."""
    server: Server
    with serving(contestant, run) as server:
        await load(run, tokens, 200)
        before = server.cpu_seconds()
        await load(run, tokens, REQUESTS)
        return server.cpu_seconds() - before


async def test_a_request_costs_at_most_six_times_the_cpu_of_a_bare_proxy(
    issuer: DevelopmentIssuer, tmp_path: Path
) -> None:
    """The service verifies, limits, counts and logs; the proxy does nothing of that."""
    tokens = [issuer.token(sub=f"person-{number}") for number in range(100)]
    with upstream(free_ports(), 0.0) as url:
        runs = [Run(free_ports(), url, issuer.issuer, tmp_path) for _ in range(2)]
        least = await cpu_of(MINIMAL, runs[0], tokens)
        ours = await cpu_of(OURS, runs[1], tokens)

    assert ours / least <= AT_MOST
