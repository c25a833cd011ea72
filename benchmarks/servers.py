"""Servers that are measured, and the stub upstream that they ask; each a process on its core."""

import contextlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from benchmarks.contestants import Contestant, Run

_TICKS = os.sysconf("SC_CLK_TCK")
_START_SECONDS = 60.0
SERVER_CORE, LOAD_CORE = "0", str(max(os.sched_getaffinity(0)))


class Server:
    """A contestant that runs."""

    def __init__(self, process: "subprocess.Popen[bytes]", ready_seconds: float) -> None:
        self.pid = process.pid
        self.ready_seconds = ready_seconds

    def cpu_seconds(self) -> float:
        """Return the CPU that its processes have used."""
        total = 0
        for pid in self._family():
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
        return total / _TICKS

    def cpu_nanoseconds(self) -> int:
        """Return the CPU that the threads of its processes have used."""
        tasks = (task for pid in self._family() for task in Path(f"/proc/{pid}/task").iterdir())
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks)

    def rss_mb(self) -> float:
        """Return the memory that its processes have."""
        status = "".join(Path(f"/proc/{pid}/status").read_text() for pid in self._family())
        return sum(map(int, re.findall(r"VmRSS:\s+(\d+)", status))) / 1024

    def _family(self) -> list[int]:
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return [self.pid, *map(int, children)]


@contextlib.contextmanager
def upstream(port: int, delay: float) -> Iterator[str]:
    """Run the stub upstream."""
    command = ["taskset", "-c", LOAD_CORE, sys.executable, "-m", "benchmarks.upstream"]
    command += ["--port", str(port), "--delay", str(delay)]
    # It finds the modules that this process finds; pytest and make extend the path differently.
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.communicate()


@contextlib.contextmanager
def redis(port: int) -> Iterator[str]:
    """Run a Redis beside the load; yields its URL."""
    command = ["taskset", "-c", LOAD_CORE, "redis-server", "--port", str(port), "--save", ""]
    process = subprocess.Popen([*command, "--bind", "127.0.0.1"], stdout=subprocess.DEVNULL)
    try:
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.terminate()
        process.wait(timeout=30)


def _all_ready(report: dict[str, Any]) -> bool:
    return all(one["status"] == "ready" for one in report.get("workers", {}).values())


@contextlib.contextmanager
def serving(contestant: Contestant, run: Run, cores: str = SERVER_CORE) -> Iterator[Server]:
    """Run a contestant, once it answers."""
    started = time.monotonic()
    process = subprocess.Popen(
        ["taskset", "-c", cores, *contestant.command(run)],
        env=contestant.all_environment(run),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=contestant.folder,
    )
    try:
        ours = contestant.command(run)[-2:] == ["app", "serve"]
        port = contestant.environment(run).get("SERVER__INTERNAL_PORT", run.port)
        url = f"http://127.0.0.1:{port}/{'readyz' if ours else ''}"
        while True:
            with contextlib.suppress(httpx.TransportError):
                # Peers know no such path; any answer shows that they are there.
                answer = httpx.get(url)
                if not ours or (answer.status_code == 200 and _all_ready(answer.json())):
                    break
            if process.poll() is not None or time.monotonic() > started + _START_SECONDS:
                raise RuntimeError(f"{contestant.name} does not start")
            time.sleep(0.01)
        yield Server(process, time.monotonic() - started)
    finally:
        process.terminate()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
