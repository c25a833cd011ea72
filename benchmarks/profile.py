"""Where a request's CPU goes, room by room: `make profile`.

py-spy looks at the service two hundred times a second while wrk loads it, and each look is put down
to the innermost frame of the service's own on the stack: what a library does for a room is that
room's cost, and what no room asked for is the framework's. Some libraries are counted once more by
themselves, whichever room they work for.
"""

import argparse
import os
import re
import resource
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from benchmarks.contestants import OURS, Run
from benchmarks.load import PEOPLE, Scenario, lua, wrk
from benchmarks.servers import serving, upstream
from emulators.issuer import DevelopmentIssuer

_FRAME = re.compile(r" \((app/[^:()]+):\d+\)")
_SECONDS = 8
_ROOMS = {
    "app/middleware": "middleware: ids, headers, access event, metrics",
    "app/api": "api: reading, answering, auditing",
    "app/identity": "identity: verifying the token, claims",
    "app/sessions": "sessions: the policy",
    "app/limits": "limits: counting",
    "app/apideck": "apideck: deadline, breaker, request, answer",
    "app/common/transport.py": "transport: httpx's objects over aiohttp",
    "app/observability": "observability: log lines, redaction",
    "app/common/strict_json.py": "strict JSON",
    "app/common/urls.py": "URLs",
    "app/server/protocol.py": "the server's protocol",
    "app/server": "event loop, uvicorn, Starlette, FastAPI",
    "app/__main__.py": "event loop, uvicorn, Starlette, FastAPI",
}


_LIBRARIES = ("aiohttp", "httpx", "prometheus_client", "structlog", "starlette", "fastapi")


def owner(stack: str) -> str:
    """Return the room that a look at the stack is put down to."""
    for frame in reversed(stack.split(";")):
        if found := _FRAME.search(frame):
            parts = found[1].split("/")
            package = "/".join(parts[:2])
            return _ROOMS.get(found[1], _ROOMS.get(package, package))
    return "other threads"


def profile(scenario: Scenario, port: int, raw: Path) -> float:
    """Load the service while it is looked at; returns its CPU in milliseconds a request."""
    issuer = DevelopmentIssuer()
    with issuer.serve(), tempfile.TemporaryDirectory() as folder:
        tokens = [issuer.token(sub=f"person-{number}") for number in range(PEOPLE)]
        script = lua(Path(folder), tokens)
        with upstream(port, scenario.delay) as url:
            run = Run(port + 1, url, issuer.issuer, Path(folder))
            with serving(OURS, run) as server:
                wrk(run, script, scenario.connections, 2)
                spy = [str(Path(sys.executable).parent / "py-spy"), "record"]
                spy += ["--pid", str(server.pid), "--duration", str(_SECONDS), "--rate", "200"]
                spy += ["--format", "raw", "--output", str(raw)]
                looking = subprocess.Popen(
                    spy, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
                )
                before = server.cpu_seconds()
                seen = wrk(run, script, scenario.connections, _SECONDS + 1)
                cpu = server.cpu_seconds() - before
                looking.wait()
    return 1000 * cpu / seen["requests"]


def main() -> None:
    """Profile one scenario and print its table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--delay", type=float, default=0.0)
    parser.add_argument("--port", type=int, default=21_800)
    chosen = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "stacks"
        scenario = Scenario(chosen.delay, chosen.connections, _SECONDS)
        cpu_ms = profile(scenario, chosen.port, raw)
        looks: Counter[str] = Counter()
        libraries: Counter[str] = Counter()
        for line in raw.read_text().splitlines():
            stack, _, count = line.rpartition(" ")
            looks[owner(stack)] += int(count)
            # The innermost frame alone: everything is within the framework's.
            libraries.update(
                {one: int(count) for one in _LIBRARIES if f" ({one}/" in stack.rpartition(";")[2]}
            )
    print(f"{cpu_ms:.2f} ms of CPU a request; {looks.total()} looks\n")
    print("| room | share |\n| --- | ---: |")
    for room, count in looks.most_common():
        print(f"| {room} | {100 * count / looks.total():.1f} % |")
    print("\n| library, by itself | share |\n| --- | ---: |")
    for library, count in libraries.most_common():
        print(f"| {library} | {100 * count / looks.total():.1f} % |")


if __name__ == "__main__":
    main()
