"""A soak test, which finds leaks: `make soak`.

More clients than the service has slots send requests to a real process for five minutes, and some
disconnect early. Some of the requests to Apideck fail, and a real Redis counts the rate limits. The
test samples memory, threads, files, tasks and sockets. It exits with status 1 in each of these
cases:

- Memory, files or threads grow.
- There are more tasks or sockets than the clients account for.
- Tasks or sockets are left over after the clients have disconnected.
- A response has an unexpected status.
- Too few requests get a session.

docs/operations.md shows a run.
"""

import argparse
import asyncio
import os
import random
import re
import shutil
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import uvloop

from benchmarks.servers import redis
from emulators.issuer import DevelopmentIssuer

_USERS = 2000
_THINK_SECONDS = 0.5
_DISCONNECT_SHARE = 0.05
_SLOTS = 64
_SAMPLES = 60
_SETTLE_SECONDS = 65.0
_MAX_GROWTH = {"RSS MB": 4.0, "files": 2.0, "threads": 0.0}
"""Allowed growth from the second quarter to the last."""
_MAX_LEFT_OVER = {"tasks": 2.0, "sockets": 2.0}
"""Allowed increase after the clients have disconnected, compared with the idle service."""
_MAX_PER_CLIENT = {"tasks": 3.0, "sockets": 2.0}
"""A request needs up to three tasks, one socket to the client and one to the upstream."""
_BASE = 20.0
"""Tasks or sockets that do not belong to a request."""
_EXPECTED_STATUSES = {201, 503, 504}
_MIN_SUCCESS_SHARE = 0.99
"""Of the requests whose client did not disconnect: retries hide most failures of Apideck."""


@dataclass(frozen=True)
class Sample:
    """Resource usage of the process at one time.

    Attributes:
        values: the usage, by the names in the tables above.
    """

    values: dict[str, float]


class Service:
    """The process under test."""

    def __init__(self, process: "subprocess.Popen[bytes]", url: str) -> None:
        self._proc = Path("/proc") / str(process.pid)
        self.url = url

    async def sample(self, http: aiohttp.ClientSession) -> Sample:
        """Return the current resource usage."""
        links = [_link(path) for path in (self._proc / "fd").iterdir()]
        status = (self._proc / "status").read_text()
        async with http.get(f"{self.url}/metrics") as response:
            page = await response.text()
        tasks = re.search(r"^vault_bff_event_loop_tasks (\S+)", page, re.MULTILINE)
        return Sample(
            {
                "RSS MB": _field(status, "VmRSS") / 1024,
                "threads": _field(status, "Threads"),
                "sockets": sum(link.startswith("socket:") for link in links),
                "files": sum(not link.startswith("socket:") for link in links),
                "tasks": float(tasks[1]) if tasks else 0.0,
            },
        )


def _link(path: Path) -> str:
    try:
        return str(path.readlink())
    except OSError:
        return ""  # It was closed in the meantime.


def _field(status: str, name: str) -> float:
    match = re.search(rf"^{name}:\s+(\d+)", status, re.MULTILINE)
    return float(match[1]) if match else 0.0


@contextmanager
def running(issuer_url: str, store: str, port: int) -> Iterator[Service]:
    """Run the upstream and the service until the context exits.

    Args:
        issuer_url: the issuer of the tokens.
        store: URL of the Redis that counts the rate limits.
        port: the port of the service; the upstream has the next one.
    """
    upstream = [sys.executable, "-m", "benchmarks.upstream", "--port", str(port + 1)]
    upstream += ["--delay", "0.1", "--failure-share", "0.01", "--disconnect-share", "0.005"]
    environment = {
        **os.environ,
        "APIDECK__API_KEY": "sk_soak_opens-nothing",
        "APIDECK__APP_ID": "soak",
        "APIDECK__BASE_URL": f"http://127.0.0.1:{port + 1}",
        "IDENTITY__ISSUERS__MAIN__ISSUER": issuer_url,
        "IDENTITY__ISSUERS__MAIN__AUDIENCE": "vault-bff",
        "LIMITS__PER_USER": "600/minute",
        "LIMITS__STORE": store,
        # Fewer slots than clients, so that most requests wait in the queue.
        "LIMITS__MAX_IN_FLIGHT": str(_SLOTS),
        "SERVER__PORT": str(port),
    }
    processes = [
        subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
        for command in (upstream, [sys.executable, "-m", "app", "serve"])
    ]
    try:
        yield Service(processes[1], f"http://127.0.0.1:{port}")
    finally:
        for process in processes:
            process.terminate()
            process.wait(timeout=30)


async def soak(service: Service, tokens: list[str], clients: int, seconds: float) -> bool:
    """Run the load, print the results, and return whether the test passed.

    Args:
        service: the process under test.
        tokens: each request has a random one of them.
        clients: number of clients; each sends one request at a time.
        seconds: duration of the load.
    """
    generator = random.Random(1)
    outcomes: Counter[int | str] = Counter()
    samples: list[Sample] = []
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
        await _until_ready(http, service.url)
        idle = await service.sample(http)
        started = time.monotonic()

        async def client() -> None:
            while time.monotonic() < started + seconds:
                token = generator.choice(tokens)
                outcomes[await _create_session(http, service.url, generator, token)] += 1
                await asyncio.sleep(generator.uniform(0, 2 * _THINK_SECONDS))

        async def monitor() -> None:
            while time.monotonic() < started + seconds:
                await asyncio.sleep(seconds / _SAMPLES)
                samples.append(await service.sample(http))

        await asyncio.gather(monitor(), *(client() for _ in range(clients)))
    # The clients' connections are closed. Every thirty seconds, the service's aiohttp closes the
    # connections to Apideck that have been idle for thirty seconds: the last one after a minute.
    await asyncio.sleep(_SETTLE_SECONDS)
    async with aiohttp.ClientSession() as http:
        after = await service.sample(http)
    return _report(clients, outcomes, idle, samples, after)


async def _create_session(
    http: aiohttp.ClientSession, url: str, generator: random.Random, token: str
) -> int | str:
    timeout_seconds = 0.03 if generator.random() < _DISCONNECT_SHARE else 30.0
    try:
        async with http.post(
            f"{url}/vault-session",
            headers={"authorization": f"Bearer {token}"},
            timeout=aiohttp.ClientTimeout(total=timeout_seconds),
        ) as response:
            await response.read()
            return response.status
    except TimeoutError:
        return "disconnected"


async def _until_ready(http: aiohttp.ClientSession, url: str) -> None:
    async with asyncio.timeout(30):
        while True:
            try:
                async with http.get(f"{url}/readyz") as response:
                    if response.status == 200:
                        return
            except aiohttp.ClientConnectionError:
                pass
            await asyncio.sleep(0.05)


def _report(
    clients: int, outcomes: Counter[int | str], idle: Sample, samples: list[Sample], after: Sample
) -> bool:
    names = [*_MAX_GROWTH, *_MAX_LEFT_OVER]
    print("| at | " + " | ".join(names) + " |")
    print("| --- |" + " ---: |" * len(names))
    quarter = max(len(samples) // 4, 1)
    rows = {"before": idle.values, "after": after.values}
    for number in range(4):
        part = samples[number * quarter : (number + 1) * quarter] or samples[-1:]
        rows[f"quarter {number + 1}"] = {
            name: statistics.median(sample.values[name] for sample in part) for name in names
        }
    for row in ("before", "quarter 1", "quarter 2", "quarter 3", "quarter 4", "after"):
        print(f"| {row} | " + " | ".join(f"{rows[row][name]:,.0f}" for name in names) + " |")
    print(f"\noutcomes: {dict(sorted(outcomes.items(), key=str))}")
    grown = [
        name
        for name, allowed in _MAX_GROWTH.items()
        if rows["quarter 4"][name] > rows["quarter 2"][name] + allowed
    ]
    left_over = [
        name
        for name, allowed in _MAX_LEFT_OVER.items()
        if after.values[name] > idle.values[name] + allowed
    ]
    excessive = [
        name
        for name, allowed in _MAX_PER_CLIENT.items()
        if max(sample.values[name] for sample in samples) > allowed * clients + _BASE
    ]
    statuses = {outcome for outcome in outcomes if isinstance(outcome, int)}
    unexpected = statuses - _EXPECTED_STATUSES
    for name in grown:
        print(f"grew: {name}")
    for name in left_over:
        print(f"left over: {name}")
    for name in excessive:
        print(f"more than the clients account for: {name}")
    for status in unexpected:
        print(f"unexpected status: {status}")
    share = outcomes[201] / max(outcomes.total() - outcomes["disconnected"], 1)
    print(f"{100 * share:.2f} % of the requests without a disconnect got a session")
    return not (grown or left_over or excessive or unexpected) and share >= _MIN_SUCCESS_SHARE


def main() -> int:
    """Run the soak test, and return 0 if it passed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--clients", type=int, default=500)
    parser.add_argument("--port", type=int, default=8680)
    arguments = parser.parse_args()
    if shutil.which("redis-server") is None:
        sys.exit("redis-server is missing: apt-get install redis-server")
    issuer = DevelopmentIssuer()
    with issuer.serve(), redis(arguments.port - 1) as store:
        tokens = [
            issuer.token(sub=f"person-{n}", org_id=f"org-{n % 97}", expires_in=86_400)
            for n in range(_USERS)
        ]
        with running(issuer.issuer, store, arguments.port) as service:
            passed = uvloop.run(soak(service, tokens, arguments.clients, arguments.seconds))
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
