"""The CPU of a request by package: `make profile`.

py-spy samples the stack of the service 200 times a second while wrk loads it. Each sample counts
for the package of the innermost frame that belongs to the service, so a library counts for the
package that calls it. The remaining samples count for the framework. A second table shows the share
of some libraries alone.
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
_PACKAGES = {
    "app/middleware": "middleware: ids, headers, access event, metrics",
    "app/api": "api: parsing, responding, auditing",
    "app/identity": "identity: token verification, claims",
    "app/sessions": "sessions: policy",
    "app/limits": "limits: rate limits",
    "app/apideck": "apideck: deadline, circuit breaker, request, response",
    "app/common/transport.py": "transport: httpx API over aiohttp",
    "app/observability": "observability: log lines, redaction",
    "app/common/strict_json.py": "strict JSON",
    "app/common/urls.py": "URLs",
    "app/server/protocol.py": "server: HTTP protocol",
    "app/server": "event loop, uvicorn, Starlette, FastAPI",
    "app/__main__.py": "event loop, uvicorn, Starlette, FastAPI",
}
_LIBRARIES = ("aiohttp", "httpx", "prometheus_client", "structlog", "starlette", "fastapi")


def owner(stack: str) -> str:
    """Return the package that a sample of the stack counts for."""
    for frame in reversed(stack.split(";")):
        if match := _FRAME.search(frame):
            package = "/".join(match[1].split("/")[:2])
            return _PACKAGES.get(match[1], _PACKAGES.get(package, package))
    return "other"


def profile(scenario: Scenario, port: int, raw: Path) -> float:
    """Sample the service under load, and return its CPU per request in milliseconds.

    Args:
        scenario: the load.
        port: the port of the upstream; the service has the next one.
        raw: the file for py-spy's samples.
    """
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
                sampler = subprocess.Popen(
                    spy, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
                )
                before = server.cpu_seconds()
                summary = wrk(run, script, scenario.connections, _SECONDS + 1)
                cpu = server.cpu_seconds() - before
                sampler.wait()
    return 1000 * cpu / summary["requests"]


def main() -> None:
    """Profile one scenario, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--delay", type=float, default=0.0)
    parser.add_argument("--port", type=int, default=21_800)
    arguments = parser.parse_args()
    _, maximum = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (maximum, maximum))
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "stacks"
        scenario = Scenario(arguments.delay, arguments.connections, _SECONDS)
        cpu_ms = profile(scenario, arguments.port, raw)
        samples: Counter[str] = Counter()
        libraries: Counter[str] = Counter()
        for line in raw.read_text().splitlines():
            stack, _, count = line.rpartition(" ")
            # py-spy counts the log writer's thread while it waits; its own CPU is below 1 %.
            if " (app/__main__.py:" not in stack:
                continue
            samples[owner(stack)] += int(count)
            # Only the innermost frame counts, because the framework is on every stack.
            innermost = stack.rpartition(";")[2]
            libraries.update(
                {library: int(count) for library in _LIBRARIES if f" ({library}/" in innermost}
            )
    print(f"{cpu_ms:.2f} ms of CPU per request; {samples.total()} samples\n")
    print("| package | share |\n| --- | ---: |")
    for package, number in samples.most_common():
        print(f"| {package} | {100 * number / samples.total():.1f} % |")
    print("\n| library by itself | share |\n| --- | ---: |")
    for library, number in libraries.most_common():
        print(f"| {library} | {100 * number / samples.total():.1f} % |")


if __name__ == "__main__":
    main()
