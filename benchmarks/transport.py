"""The cost of HTTP clients for the requests to Apideck: `make bench-transport`.

Each client is measured alone in its own process, in several rounds of shuffled order. Scenarios:

- 64 requests in flight, and an upstream without delay.
- 1,000 requests in flight, and an upstream delay of 300 ms. The CPU is the bottleneck.
- 1,000 arrivals a second and 300 ms: the latency that the client adds while the CPU is sufficient.
- 400 arrivals a second and 2.5 s: the same with 1,000 requests in flight.

docs/adr/0006-transport.md uses the results.
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
_GRACE_SECONDS = 2.0
# Not None: with None, httpx-aiohttp uses aiohttp's own limit of 100.
_UNBOUNDED = httpx.Limits(max_connections=100_000, max_keepalive_connections=100_000)


@asynccontextmanager
async def httpx_client(url: str) -> AsyncIterator[Post]:
    """Use httpx with default settings, except for unlimited connections."""
    async with httpx.AsyncClient(limits=_UNBOUNDED, timeout=60) as client:
        yield _post_with_client(client, url)


@asynccontextmanager
async def httpx_small_pools(url: str) -> AsyncIterator[Post]:
    """Use many httpx clients in turn, so that each pool is small."""
    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(httpx.AsyncClient(limits=_UNBOUNDED, timeout=60))
            for _ in range(_SMALL_POOLS)
        ]
        posts = itertools.cycle([_post_with_client(client, url) for client in clients])

        async def post() -> int:
            return await next(posts)()

        yield post


@asynccontextmanager
async def httpx_aiohttp_client(url: str) -> AsyncIterator[Post]:
    """Use httpx-aiohttp in a client, as its documentation shows."""
    transport = httpx_aiohttp.AiohttpTransport(limits=_UNBOUNDED)
    async with httpx.AsyncClient(transport=transport, timeout=60) as client:
        yield _post_with_client(client, url)


@asynccontextmanager
async def httpx_aiohttp_direct(url: str) -> AsyncIterator[Post]:
    """Use the transport of httpx-aiohttp without a client."""
    async with httpx_aiohttp.AiohttpTransport(limits=_UNBOUNDED) as transport:
        yield _post_with_transport(transport, url)


@asynccontextmanager
async def pyreqwest_direct(url: str) -> AsyncIterator[Post]:
    """Use pyreqwest's httpx transport without a client."""
    async with HttpxTransport(ClientBuilder().build()) as transport:
        yield _post_with_transport(transport, url)


@asynccontextmanager
async def ours(url: str) -> AsyncIterator[Post]:
    """Use the service's transport without a client, as the service does."""
    async with AiohttpTransport() as transport:
        yield _post_with_transport(transport, url)


@asynccontextmanager
async def bare_aiohttp(url: str) -> AsyncIterator[Post]:
    """Use aiohttp alone; the difference shows the cost of the httpx API."""
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def post() -> int:
            async with session.post(url, data=BODY, headers=HEADERS) as response:
                await response.read()
                return response.status

        yield post


def _post_with_client(client: httpx.AsyncClient, url: str) -> Post:
    async def post() -> int:
        return (await client.post(url, content=BODY, headers=HEADERS)).status_code

    return post


def _post_with_transport(transport: httpx.AsyncBaseTransport, url: str) -> Post:
    parsed_url = httpx.URL(url)

    async def post() -> int:
        # As the service does: it builds a request each time and has no client.
        request = httpx.Request("POST", parsed_url, headers=HEADERS, content=BODY)
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
    """The load and the upstream's delay.

    Attributes:
        delay_seconds: seconds before each response of the upstream.
        in_flight: number of requests of the warm-up. With a closed loop also the number of requests
            in flight during the measurement; with paced arrivals about that number.
        seconds: duration of the measurement.
        per_second: mean number of random arrivals a second; None for a closed loop, where each
            request follows a response.
    """

    delay_seconds: float
    in_flight: int
    seconds: float
    per_second: float | None = None


SCENARIOS = {
    "0ms-64": Scenario(0.0, 64, 3.0),
    "300ms-1000": Scenario(0.3, 1000, 6.0),
    "300ms-paced": Scenario(0.3, 300, 6.0, per_second=1000),
    "2500ms-paced": Scenario(2.5, 1000, 8.0, per_second=400),
}


@dataclass(frozen=True)
class Result:
    """The result of one contestant in one round.

    Attributes:
        per_second: successful responses a second.
        cpu_ms: CPU for each successful response in milliseconds.
        p50_ms: median latency of the successful responses in milliseconds.
        p99_ms: 99th percentile of that latency in milliseconds.
        errors: requests without a 200. With paced arrivals also requests in flight when two
            seconds have passed since the last response was due.
    """

    per_second: float
    cpu_ms: float
    p50_ms: float
    p99_ms: float
    errors: int


async def measure(contestant: Contestant, url: str, scenario: Scenario) -> Result:
    """Run the load of a scenario with one client."""
    latencies: list[float] = []
    errors = 0

    async def send(post: Post) -> None:
        nonlocal errors
        started = time.perf_counter()
        try:
            successful = await post() == 200
        except (httpx.HTTPError, aiohttp.ClientError, TimeoutError):
            successful = False
        if successful:
            latencies.append(time.perf_counter() - started)
        else:
            errors += 1

    async def send_until(post: Post, end: float) -> None:
        while time.perf_counter() < end:
            await send(post)

    async def send_paced(post: Post, per_second: float) -> None:
        nonlocal errors
        generator = random.Random(1)
        tasks = set()
        due = time.perf_counter()
        end = due + scenario.seconds
        while due < end:
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            tasks.add(asyncio.create_task(send(post)))
            due += generator.expovariate(per_second)
        _, late = await asyncio.wait(tasks, timeout=scenario.delay_seconds + _GRACE_SECONDS)
        for task in late:
            task.cancel()
        errors += len(late)

    async with contestant(url) as post:
        await asyncio.gather(*(send(post) for _ in range(scenario.in_flight)))
        latencies.clear()
        started, cpu = time.perf_counter(), time.process_time()
        if scenario.per_second is None:
            end = started + scenario.seconds
            await asyncio.gather(*(send_until(post, end) for _ in range(scenario.in_flight)))
        else:
            await send_paced(post, scenario.per_second)
        seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    latencies.sort()
    successful = max(len(latencies), 1)
    return Result(
        len(latencies) / seconds,
        1000 * cpu / successful,
        1000 * latencies[len(latencies) // 2] if latencies else 0.0,
        1000 * latencies[len(latencies) * 99 // 100] if latencies else 0.0,
        errors,
    )


@contextmanager
def upstream(port: int, delay_seconds: float) -> Iterator[str]:
    """Run the stub upstream until the context exits; yields the URL of its sessions."""
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


def run_scenarios(
    scenarios: Iterable[str], rounds: int, port: int
) -> Iterator[tuple[str, dict[str, list[Result]]]]:
    """Run scenarios; yields the name of each and its results by contestant."""
    for name in scenarios:
        scenario = SCENARIOS[name]
        results: dict[str, list[Result]] = {contestant: [] for contestant in CONTESTANTS}
        with upstream(port, scenario.delay_seconds) as url:
            for _ in range(rounds):
                for contestant in random.sample(list(CONTESTANTS), len(CONTESTANTS)):
                    command = [sys.executable, "-m", "benchmarks.transport", "--contestant"]
                    command += [contestant, "--scenario", name, "--url", url]
                    run = subprocess.run(command, check=True, capture_output=True, text=True)
                    results[contestant].append(Result(**json.loads(run.stdout)))
        yield name, results


def show(name: str, results: dict[str, list[Result]]) -> None:
    """Print the results of one scenario as a table."""
    print(f"\n{name}: medians of {len(results['ours'])} rounds")
    print("| option | responses/s | CPU ms per response (min to max) | p50 ms | p99 ms | errors |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for contestant, rounds in results.items():
        cpu = [result.cpu_ms for result in rounds]
        print(
            f"| {contestant} | {statistics.median(result.per_second for result in rounds):,.0f} "
            f"| {statistics.median(cpu):.3f} ({min(cpu):.3f} to {max(cpu):.3f}) "
            f"| {statistics.median(result.p50_ms for result in rounds):,.0f} "
            f"| {statistics.median(result.p99_ms for result in rounds):,.0f} "
            f"| {sum(result.errors for result in rounds)} |"
        )


def main() -> None:
    """Compare all contestants, or measure one of them in this process."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--port", type=int, default=8690)
    parser.add_argument("--contestant", choices=CONTESTANTS, help=argparse.SUPPRESS)
    parser.add_argument("--scenario", choices=SCENARIOS, help="run only this scenario")
    parser.add_argument("--url", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    _, maximum = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (maximum, maximum))
    if arguments.contestant is None:
        scenarios = [arguments.scenario] if arguments.scenario else SCENARIOS
        for name, results in run_scenarios(scenarios, arguments.rounds, arguments.port):
            show(name, results)
        return
    contestant, scenario = CONTESTANTS[arguments.contestant], SCENARIOS[arguments.scenario]
    # As in app/server/server.py, so that garbage collection does not distort the result.
    gc.collect()
    gc.freeze()
    gc.set_threshold(200_000, 10, 10)
    print(json.dumps(asdict(uvloop.run(measure(contestant, arguments.url, scenario)))))


if __name__ == "__main__":
    main()
