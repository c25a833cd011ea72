"""What carries a request to Apideck, and what that costs: `make bench-transport`.

Every way is measured alone in a process of its own, in several rounds of shuffled order: with 64 in
flight against an upstream that answers at once, with 1,000 in flight against one that takes 300 ms
(which only the CPU limits), and with arrivals paced at 1,000 a second against the same, which shows
what a way adds while the CPU suffices; and with 400 a second against one that takes 2.5 s, where
1,000 are in flight and the CPU suffices, too. docs/adr/0006-transport.md rests on it.
"""

import argparse
import asyncio
import gc
import itertools
import json
import random
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
    contextmanager,
)
from dataclasses import asdict, dataclass

import aiohttp
import httpx
import httpx_aiohttp
import uvloop
from pyreqwest.client import ClientBuilder
from pyreqwest.compatibility.httpx import HttpxTransport

from app.common.transport import AiohttpTransport

Post = Callable[[], Awaitable[int]]
Contestant = Callable[[str], AbstractAsyncContextManager[Post]]

BODY = (
    b'{"consumer_metadata":{"account_name":"Acme Inc."},"redirect_uri":"https://app.example.com"}'
)
HEADERS = {
    "x-apideck-app-id": "app",
    "x-apideck-consumer-id": "consumer",
    "content-type": "application/json",
    "accept": "application/json",
    "accept-encoding": "identity",
    "user-agent": "vault-bff",
    "authorization": "Bearer sk_bench_opens-nothing",
}
_SMALL_POOLS = 32
_PATIENCE_SECONDS = 2.0
# Not None: httpx-aiohttp takes that for aiohttp's own limit of 100.
_UNBOUNDED = httpx.Limits(max_connections=100_000, max_keepalive_connections=100_000)


@asynccontextmanager
async def httpx_client(url: str) -> AsyncIterator[Post]:
    """Use httpx as it comes, with its limits taken off."""
    async with httpx.AsyncClient(limits=_UNBOUNDED, timeout=60) as client:
        yield _through(client, url)


@asynccontextmanager
async def httpx_small_pools(url: str) -> AsyncIterator[Post]:
    """Use many small httpx clients in turn, so that no pool is long."""
    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(httpx.AsyncClient(limits=_UNBOUNDED, timeout=60))
            for _ in range(_SMALL_POOLS)
        ]
        posts = itertools.cycle([_through(client, url) for client in clients])

        async def post() -> int:
            return await next(posts)()

        yield post


@asynccontextmanager
async def httpx_aiohttp_client(url: str) -> AsyncIterator[Post]:
    """Use httpx-aiohttp the way that its manual shows."""
    transport = httpx_aiohttp.AiohttpTransport(limits=_UNBOUNDED)
    async with httpx.AsyncClient(transport=transport, timeout=60) as client:
        yield _through(client, url)


@asynccontextmanager
async def httpx_aiohttp_direct(url: str) -> AsyncIterator[Post]:
    """Use httpx-aiohttp without a client around it."""
    async with httpx_aiohttp.AiohttpTransport(limits=_UNBOUNDED) as transport:
        yield _carried_by(transport, url)


@asynccontextmanager
async def pyreqwest_direct(url: str) -> AsyncIterator[Post]:
    """Use pyreqwest's httpx transport without a client around it."""
    async with HttpxTransport(ClientBuilder().build()) as transport:
        yield _carried_by(transport, url)


@asynccontextmanager
async def ours(url: str) -> AsyncIterator[Post]:
    """Use the service's own transport the way that the service does."""
    async with AiohttpTransport() as transport:
        yield _carried_by(transport, url)


@asynccontextmanager
async def bare_aiohttp(url: str) -> AsyncIterator[Post]:
    """Use aiohttp alone: what httpx's objects cost shows in the difference."""
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def post() -> int:
            async with session.post(url, data=BODY, headers=HEADERS) as answer:
                await answer.read()
                return answer.status

        yield post


def _through(client: httpx.AsyncClient, url: str) -> Post:
    async def post() -> int:
        return (await client.post(url, content=BODY, headers=HEADERS)).status_code

    return post


def _carried_by(transport: httpx.AsyncBaseTransport, url: str) -> Post:
    ready = httpx.URL(url)

    async def post() -> int:
        # As the service does: a request for each caller, a client for none.
        request = httpx.Request("POST", ready, headers=HEADERS, content=BODY)
        async with asyncio.timeout(60):
            response = await transport.handle_async_request(request)
            await response.aread()
        return response.status_code

    return post


CONTESTANTS: dict[str, Contestant] = {
    "httpx": httpx_client,
    "httpx-small-pools": httpx_small_pools,
    "httpx-aiohttp-client": httpx_aiohttp_client,
    "httpx-aiohttp-direct": httpx_aiohttp_direct,
    "pyreqwest-direct": pyreqwest_direct,
    "ours": ours,
    "bare-aiohttp": bare_aiohttp,
}


@dataclass(frozen=True)
class Scenario:
    """How much is asked of whom.

    Attributes:
        delay_seconds: how long the upstream takes.
        in_flight: requests at the same time, each followed by another; and how many warm up. With
            paced arrivals, about how many there are at the same time.
        seconds: how long is measured.
        per_second: requests that arrive in a second, whatever became of the last ones; None where
            each follows another.
    """

    delay_seconds: float
    in_flight: int
    seconds: float
    per_second: float | None = None


SCENARIOS = {
    "at-once-64": Scenario(0.0, 64, 3.0),
    "300ms-1000": Scenario(0.3, 1000, 6.0),
    "300ms-paced": Scenario(0.3, 300, 6.0, per_second=1000),
    "2500ms-paced": Scenario(2.5, 1000, 8.0, per_second=400),
}


@dataclass(frozen=True)
class Result:
    """What one contestant did in one round.

    Attributes:
        per_second: good answers a second.
        cpu_ms: milliseconds of CPU for each good answer.
        p50_ms: half of the answers took no longer.
        p99_ms: 99 of 100 answers took no longer.
        errors: what did not come to a 200; of paced arrivals, what was not there two seconds after
            the last of them was due.
    """

    per_second: float
    cpu_ms: float
    p50_ms: float
    p99_ms: float
    errors: int


async def measure(contestant: Contestant, url: str, scenario: Scenario) -> Result:
    """Keep so many requests in flight for so long."""
    latencies: list[float] = []
    errors = 0

    async def one(post: Post) -> None:
        nonlocal errors
        started = time.perf_counter()
        try:
            good = await post() == 200
        except (httpx.HTTPError, aiohttp.ClientError, TimeoutError):
            good = False
        if good:
            latencies.append(time.perf_counter() - started)
        else:
            errors += 1

    async def again_until(post: Post, end: float) -> None:
        while time.perf_counter() < end:
            await one(post)

    async def arrivals(post: Post, per_second: float) -> None:
        nonlocal errors
        chance = random.Random(1)
        tasks = set()
        due = time.perf_counter()
        end = due + scenario.seconds
        while due < end:
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            tasks.add(asyncio.create_task(one(post)))
            due += chance.expovariate(per_second)
        _, late = await asyncio.wait(tasks, timeout=scenario.delay_seconds + _PATIENCE_SECONDS)
        for task in late:
            task.cancel()
        errors += len(late)

    async with contestant(url) as post:
        await asyncio.gather(*(one(post) for _ in range(scenario.in_flight)))
        latencies.clear()
        started, cpu = time.perf_counter(), time.process_time()
        if scenario.per_second is None:
            end = started + scenario.seconds
            await asyncio.gather(*(again_until(post, end) for _ in range(scenario.in_flight)))
        else:
            await arrivals(post, scenario.per_second)
        seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    latencies.sort()
    good = max(len(latencies), 1)
    return Result(
        len(latencies) / seconds,
        1000 * cpu / good,
        1000 * latencies[len(latencies) // 2] if latencies else 0.0,
        1000 * latencies[len(latencies) * 99 // 100] if latencies else 0.0,
        errors,
    )


@contextmanager
def upstream(port: int, delay_seconds: float) -> Iterator[str]:
    """Run the upstream on one core for as long as the context lasts."""
    command = [sys.executable, "-m", "benchmarks.upstream", "--port", str(port)]
    command += ["--delay", str(delay_seconds)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        process.stdout.readline()
        yield f"http://127.0.0.1:{port}/vault/sessions"
    finally:
        process.kill()
        process.communicate()


def compete(
    scenarios: Iterable[str], rounds: int, port: int
) -> Iterator[tuple[str, dict[str, list[Result]]]]:
    """Yield each scenario's results by contestant."""
    for name in scenarios:
        scenario = SCENARIOS[name]
        results: dict[str, list[Result]] = {contestant: [] for contestant in CONTESTANTS}
        with upstream(port, scenario.delay_seconds) as url:
            for _ in range(rounds):
                for contestant in random.sample(list(CONTESTANTS), len(CONTESTANTS)):
                    command = [sys.executable, "-m", "benchmarks.transport", "--contestant"]
                    command += [contestant, "--scenario", name, "--url", url]
                    out = subprocess.run(command, check=True, capture_output=True, text=True)
                    results[contestant].append(Result(**json.loads(out.stdout)))
        yield name, results


def show(name: str, results: dict[str, list[Result]]) -> None:
    """Print one scenario's table: medians, and the spread of the CPU."""
    print(f"\n{name}: medians of {len(results['ours'])} rounds")
    print("| way | answers/s | CPU ms each (min to max) | p50 ms | p99 ms | errors |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for contestant, rounds in results.items():
        cpu = [one.cpu_ms for one in rounds]
        print(
            f"| {contestant} | {statistics.median(one.per_second for one in rounds):,.0f} "
            f"| {statistics.median(cpu):.3f} ({min(cpu):.3f} to {max(cpu):.3f}) "
            f"| {statistics.median(one.p50_ms for one in rounds):,.0f} "
            f"| {statistics.median(one.p99_ms for one in rounds):,.0f} "
            f"| {sum(one.errors for one in rounds)} |"
        )


def main() -> None:
    """Run all contestants, or one of them as a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--port", type=int, default=8690)
    parser.add_argument("--contestant", choices=CONTESTANTS, help=argparse.SUPPRESS)
    parser.add_argument("--scenario", choices=SCENARIOS, help="this one alone")
    parser.add_argument("--url", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if chosen.contestant is None:
        scenarios = [chosen.scenario] if chosen.scenario else SCENARIOS
        for name, results in compete(scenarios, chosen.rounds, chosen.port):
            show(name, results)
        return
    contestant, scenario = CONTESTANTS[chosen.contestant], SCENARIOS[chosen.scenario]
    # As the service has it (app/server/server.py): the collector's pauses are not the transport's.
    gc.collect()
    gc.freeze()
    gc.set_threshold(200_000, 10, 10)
    print(json.dumps(asdict(uvloop.run(measure(contestant, chosen.url, scenario)))))


if __name__ == "__main__":
    main()
