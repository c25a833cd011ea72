"""Load whose requests arrive when they do, whatever became of the last ones.

A closed loop, as wrk has it, asks less of whoever is slow, and so hides how long people would wait.
"""

import asyncio
import random
import time
from dataclasses import dataclass

import aiohttp
import uvloop

_PATIENCE_SECONDS = 10.0


@dataclass(frozen=True)
class Seen:
    """What came of it."""

    good: int
    errors: int
    p50_ms: float
    p99_ms: float


def paced(port: int, tokens: list[str], per_second: float, seconds: float) -> Seen:
    """Ask so often for so long, at moments of chance (Poisson), after a second of warming up."""
    return uvloop.run(_paced(port, tokens, per_second, seconds))


async def _paced(port: int, tokens: list[str], per_second: float, seconds: float) -> Seen:
    chance = random.Random(1)
    latencies: list[float] = []
    errors = 0
    url = f"http://127.0.0.1:{port}/vault-session"

    async def one(http: aiohttp.ClientSession, *, counts: bool) -> None:
        nonlocal errors
        started = time.perf_counter()
        headers = {"authorization": f"Bearer {chance.choice(tokens)}"}
        try:
            async with http.post(
                url, headers=headers, skip_auto_headers=["Content-Type"]
            ) as answer:
                await answer.read()
                good = answer.ok
        except aiohttp.ClientError:
            good = False
        if counts and good:
            latencies.append(time.perf_counter() - started)
        elif counts:
            errors += 1

    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as http:
        begun = due = time.perf_counter()
        tasks: set[asyncio.Task[None]] = set()
        while due < begun + 1 + seconds:
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            tasks.add(asyncio.create_task(one(http, counts=due >= begun + 1)))
            due += chance.expovariate(per_second)
        _, late = await asyncio.wait(tasks, timeout=_PATIENCE_SECONDS)
        for task in late:
            task.cancel()
        errors += len(late)
    latencies.sort()
    if not latencies:
        return Seen(0, errors, 0.0, 0.0)
    middle, tail = latencies[len(latencies) // 2], latencies[len(latencies) * 99 // 100]
    return Seen(len(latencies), errors, 1000 * middle, 1000 * tail)
