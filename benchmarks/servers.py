"""Processes of a benchmark, pinned to cores: the measured servers, the stub upstream and Redis."""

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
    """A running contestant.

    Attributes:
        pid: the ID of its main process.
        ready_seconds: seconds from its start until it was ready.
    """

    def __init__(self, process: "subprocess.Popen[bytes]", ready_seconds: float) -> None:
        self.pid = process.pid
        self.ready_seconds = ready_seconds

    def cpu_seconds(self) -> float:
        """Return the CPU time of its processes, in seconds."""
        total = 0
        for pid in self._pids():
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
        return total / _TICKS

    def cpu_nanoseconds(self) -> int:
        """Return the CPU time of all threads of its processes, in nanoseconds."""
        tasks = (task for pid in self._pids() for task in Path(f"/proc/{pid}/task").iterdir())
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks)

    def rss_mb(self) -> float:
        """Return the resident memory of its processes, in MB."""
        status = "".join(Path(f"/proc/{pid}/status").read_text() for pid in self._pids())
        return sum(map(int, re.findall(r"VmRSS:\s+(\d+)", status))) / 1024

    def _pids(self) -> list[int]:
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return [self.pid, *map(int, children)]


@contextlib.contextmanager
def upstream(port: int, delay: float) -> Iterator[str]:
    """Run the stub upstream; yields its URL.

    Args:
        port: its port.
        delay: seconds before each response.
    """
    command = ["taskset", "-c", LOAD_CORE, sys.executable, "-m", "benchmarks.upstream"]
    command += ["--port", str(port), "--delay", str(delay)]
    # The stub needs the import path of this process: pytest and make extend it differently.
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
    """Run Redis on the core of the load generator; yields its URL."""
    command = ["taskset", "-c", LOAD_CORE, "redis-server", "--port", str(port), "--save", ""]
    process = subprocess.Popen([*command, "--bind", "127.0.0.1"], stdout=subprocess.DEVNULL)
    try:
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.terminate()
        process.wait(timeout=30)


def _all_ready(report: dict[str, Any]) -> bool:
    return all(worker["status"] == "ready" for worker in report.get("workers", {}).values())


@contextlib.contextmanager
def serving(contestant: Contestant, run: Run, cores: str = SERVER_CORE) -> Iterator[Server]:
    """Run a contestant; yields when it is ready.

    Raises:
        RuntimeError: it did not start.
    """
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
                # The other contestants have no readiness endpoint, so any response is sufficient.
                response = httpx.get(url)
                if not ours or (response.status_code == 200 and _all_ready(response.json())):
                    break
            if process.poll() is not None or time.monotonic() > started + _START_SECONDS:
                raise RuntimeError(f"{contestant.name} did not start")
            time.sleep(0.01)
        yield Server(process, time.monotonic() - started)
    finally:
        process.terminate()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
