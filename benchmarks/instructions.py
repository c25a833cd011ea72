"""Counts the CPU instructions of the service for a request: `make instructions`.

Valgrind's callgrind counts them, so the result does not depend on the speed or the load of the
machine, and small changes are visible. It does not count the kernel, or waits for memory.
`--baseline` measures another checkout.
"""

import argparse
import asyncio
import itertools
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import aiohttp
import httpx

from benchmarks.contestants import COLD, OURS, Contestant, Run, baseline, bearer
from benchmarks.servers import upstream
from emulators.issuer import DevelopmentIssuer

REQUESTS = 400
WARM_UP_REQUESTS = 100
CONNECTIONS = 16
_START_SECONDS = 120.0
CASES = {
    "without the cache of tokens": (COLD, False),
    "token seen for the first time": (OURS, False),
    "token seen before": (OURS, True),
}


@contextmanager
def callgrind(contestant: Contestant, run: Run, out: Path) -> Iterator[int]:
    """Run a contestant in callgrind, which does not count yet; yields the process id."""
    valgrind = ["valgrind", "--quiet", "--tool=callgrind", "--instr-atstart=no"]
    process = subprocess.Popen(
        [*valgrind, f"--callgrind-out-file={out}", *contestant.command(run)],
        env=contestant.all_environment(run),
        cwd=contestant.folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + _START_SECONDS
    try:
        ready = False
        while not ready:
            assert time.monotonic() < deadline, "the service does not start"
            time.sleep(0.2)
            with suppress(httpx.TransportError):
                ready = httpx.get(f"http://127.0.0.1:{run.port}/readyz", timeout=30).is_success
        yield process.pid
    finally:
        process.terminate()
        process.wait(timeout=60)


def switch(pid: int, state: str) -> None:
    """Turn the counting on or off."""
    subprocess.run(["callgrind_control", "-i", state, str(pid)], check=True, capture_output=True)


async def send(port: int, tokens: Iterable[str]) -> None:
    """Request a session with each token.

    Raises:
        AssertionError: a response was not successful.
    """
    remaining = iter(tokens)
    url = f"http://127.0.0.1:{port}/vault-session"

    async def connection(client: aiohttp.ClientSession) -> None:
        for token in remaining:
            async with client.post(
                url, headers=dict(bearer(token)), skip_auto_headers=["content-type"]
            ) as response:
                await response.read()
                assert response.ok, response.status

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as client:
        await asyncio.gather(*(connection(client) for _ in range(CONNECTIONS)))


def instructions(contestant: Contestant, port: int, *, seen: bool) -> float:
    """Return the instructions for each request.

    Args:
        contestant: the service.
        port: the port of the upstream; the service has the next one.
        seen: whether each token was sent before.
    """
    issuer = DevelopmentIssuer()
    with (
        issuer.serve(),
        tempfile.TemporaryDirectory() as folder,
        upstream(port, 0.0) as url,
    ):
        run = Run(port + 1, url, issuer.issuer, Path(folder))
        people = [f"person-{number}" for number in range(WARM_UP_REQUESTS + REQUESTS)]
        tokens = [issuer.token(sub=one, expires_in=86_400) for one in people]
        known, new = tokens[:WARM_UP_REQUESTS], tokens[WARM_UP_REQUESTS:]
        out = Path(folder) / "callgrind"
        with callgrind(contestant, run, out) as pid:
            asyncio.run(send(run.port, known))
            switch(pid, "on")
            asyncio.run(
                send(run.port, itertools.islice(itertools.cycle(known), REQUESTS) if seen else new)
            )
            switch(pid, "off")
        totals = re.findall(r"^(?:totals|summary): (\d+)", out.read_text(), re.MULTILINE)
    return max(map(int, totals)) / REQUESTS


def main() -> None:
    """Count and print all cases."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=23_900)
    parser.add_argument("--baseline", type=Path, help="another checkout of the service")
    arguments = parser.parse_args()
    if shutil.which("valgrind") is None:
        sys.exit("needs: apt-get install valgrind")
    print("| request | instructions |\n| --- | ---: |")
    for number, (name, (ours, seen)) in enumerate(CASES.items()):
        contestant = baseline(arguments.baseline.resolve(), ours) if arguments.baseline else ours
        count = instructions(contestant, arguments.port + 2 * number, seen=seen)
        print(f"| {name} | {count:,.0f} |", flush=True)


if __name__ == "__main__":
    main()
