"""Whether the service stays as it is: `make soak`.

Many callers ask a real process for five minutes, more than it has places for, and some of them hang
up; Apideck fails now and then, and a real Redis counts. Memory, tasks, sockets and files are looked
at all the while. Ends with 1 when memory, files or threads grew, when there were more tasks or
sockets than callers account for, when one was left over once everybody had gone, when an answer was
none of those that are due, or when too few were a session. docs/operations.md shows a run.
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

_PEOPLE = 2000
_THINK_SECONDS = 0.5
_HANG_UP_SHARE = 0.05
_PLACES = 64
_SAMPLES = 60
_SETTLE_SECONDS = 65.0
_GROWING = {"RSS MB": 4.0, "files": 2.0, "threads": 0.0}
"""What must not grow from the second quarter to the last one, and by how much it may."""
_COMING_AND_GOING = {"tasks": 2.0, "sockets": 2.0}
"""What is as much as there are requests, and must go with them; and how much may be left over."""
_MOST_PER_CALLER = {"tasks": 3.0, "sockets": 2.0}
"""What a request can need: its own task and two that it waits with; a connection on either side."""
_SPARE = 20.0
"""What the process has for itself."""
_DUE = {201, 503, 504}
_GOOD_SHARE = 0.99
"""Of those who did not hang up, so many have a session, however often Apideck fails."""


@dataclass(frozen=True)
class Sample:
    """The process at one moment, by what the two tables above name."""

    at_seconds: float
    of: dict[str, float]


class Service:
    """The process under test."""

    def __init__(self, process: "subprocess.Popen[bytes]", url: str) -> None:
        self._proc = Path("/proc") / str(process.pid)
        self.url = url

    async def sample(self, http: aiohttp.ClientSession, at_seconds: float) -> Sample:
        """Look at the process."""
        links = [_link(one) for one in (self._proc / "fd").iterdir()]
        status = (self._proc / "status").read_text()
        async with http.get(f"{self.url}/metrics") as answer:
            page = await answer.text()
        tasks = re.search(r"^vault_bff_event_loop_tasks (\S+)", page, re.MULTILINE)
        return Sample(
            at_seconds,
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
        return ""  # It was closed in between.


def _field(status: str, name: str) -> float:
    found = re.search(rf"^{name}:\s+(\d+)", status, re.MULTILINE)
    return float(found[1]) if found else 0.0


@contextmanager
def running(issuer_url: str, store: str, port: int) -> Iterator[Service]:
    """Run the upstream and the service for as long as the context lasts."""
    upstream = [sys.executable, "-m", "benchmarks.upstream", "--port", str(port + 1)]
    upstream += ["--delay", "0.1", "--failing", "0.01", "--hanging-up", "0.005"]
    environment = {
        **os.environ,
        "APIDECK__API_KEY": "sk_soak_opens-nothing",
        "APIDECK__APP_ID": "soak",
        "APIDECK__BASE_URL": f"http://127.0.0.1:{port + 1}",
        "IDENTITY__ISSUERS__MAIN__ISSUER": issuer_url,
        "IDENTITY__ISSUERS__MAIN__AUDIENCE": "vault-bff",
        "LIMITS__PER_USER": "600/minute",
        "LIMITS__STORE": store,
        # Fewer than come, so that most wait for a place.
        "LIMITS__MAX_IN_FLIGHT": str(_PLACES),
        "SERVER__PORT": str(port),
    }
    started = [
        subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
        for command in (upstream, [sys.executable, "-m", "app", "serve"])
    ]
    try:
        yield Service(started[1], f"http://127.0.0.1:{port}")
    finally:
        for process in started:
            process.terminate()
            process.wait(timeout=30)


async def soak(service: Service, tokens: list[str], callers: int, seconds: float) -> bool:
    """Ask for so long, print what was seen, and tell whether all is as it was."""
    chance = random.Random(1)
    answers: Counter[int | str] = Counter()
    samples: list[Sample] = []
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
        await _until_ready(http, service.url)
        idle = await service.sample(http, 0.0)
        started = time.monotonic()

        async def caller() -> None:
            while time.monotonic() < started + seconds:
                answers[await _ask(http, service.url, chance, chance.choice(tokens))] += 1
                await asyncio.sleep(chance.uniform(0, 2 * _THINK_SECONDS))

        async def watch() -> None:
            while time.monotonic() < started + seconds:
                await asyncio.sleep(seconds / _SAMPLES)
                samples.append(await service.sample(http, time.monotonic() - started))

        await asyncio.gather(watch(), *(caller() for _ in range(callers)))
    # The callers' connections are closed. aiohttp looks every thirty seconds for those to Apideck
    # that were idle for as long, so the last may go a minute later.
    await asyncio.sleep(_SETTLE_SECONDS)
    async with aiohttp.ClientSession() as http:
        after = await service.sample(http, time.monotonic() - started)
    return _report(callers, answers, idle, samples, after)


async def _ask(
    http: aiohttp.ClientSession, url: str, chance: random.Random, token: str
) -> int | str:
    patience = 0.03 if chance.random() < _HANG_UP_SHARE else 30.0
    try:
        async with http.post(
            f"{url}/vault-session",
            headers={"authorization": f"Bearer {token}"},
            timeout=aiohttp.ClientTimeout(total=patience),
        ) as answer:
            await answer.read()
            return answer.status
    except TimeoutError:
        return "hung up"


async def _until_ready(http: aiohttp.ClientSession, url: str) -> None:
    async with asyncio.timeout(30):
        while True:
            try:
                async with http.get(f"{url}/readyz") as answer:
                    if answer.status == 200:
                        return
            except aiohttp.ClientConnectionError:
                pass
            await asyncio.sleep(0.05)


def _report(
    callers: int, answers: Counter[int | str], idle: Sample, samples: list[Sample], after: Sample
) -> bool:
    names = [*_GROWING, *_COMING_AND_GOING]
    print("| at | " + " | ".join(names) + " |")
    print("| --- |" + " ---: |" * len(names))
    quarter = max(len(samples) // 4, 1)
    rows = {"before": idle.of, "after": after.of}
    for number in range(4):
        part = samples[number * quarter : (number + 1) * quarter] or samples[-1:]
        rows[f"quarter {number + 1}"] = {
            name: statistics.median(sample.of[name] for sample in part) for name in names
        }
    for row in ("before", "quarter 1", "quarter 2", "quarter 3", "quarter 4", "after"):
        print(f"| {row} | " + " | ".join(f"{rows[row][name]:,.0f}" for name in names) + " |")
    print(f"\nanswers: {dict(sorted(answers.items(), key=str))}")
    grown = [
        name
        for name, allowed in _GROWING.items()
        if rows["quarter 4"][name] > rows["quarter 2"][name] + allowed
    ]
    left = [
        name
        for name, allowed in _COMING_AND_GOING.items()
        if after.of[name] > idle.of[name] + allowed
    ]
    beyond = [
        name
        for name, each in _MOST_PER_CALLER.items()
        if max(sample.of[name] for sample in samples) > each * callers + _SPARE
    ]
    undue = {one for one in answers if isinstance(one, int)} - _DUE
    for name in grown:
        print(f"grew: {name}")
    for name in left:
        print(f"left over: {name}")
    for name in beyond:
        print(f"more than callers account for: {name}")
    for status in undue:
        print(f"undue: {status}")
    share = answers[201] / max(answers.total() - answers["hung up"], 1)
    print(f"{100 * share:.2f} % of those who stayed have a session")
    return not (grown or left or beyond or undue) and share >= _GOOD_SHARE


def main() -> int:
    """Run the soak, and return 0 when nothing grew."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--callers", type=int, default=500)
    parser.add_argument("--port", type=int, default=8680)
    chosen = parser.parse_args()
    if shutil.which("redis-server") is None:
        sys.exit("needs: apt-get install redis-server")
    issuer = DevelopmentIssuer()
    with issuer.serve(), redis(chosen.port - 1) as store:
        tokens = [
            issuer.token(sub=f"person-{n}", org_id=f"org-{n % 97}", expires_in=86_400)
            for n in range(_PEOPLE)
        ]
        with running(issuer.issuer, store, chosen.port) as service:
            well = uvloop.run(soak(service, tokens, chosen.callers, chosen.seconds))
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
