"""`make demo` as a process, for tests that use it over HTTP."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import httpx

from tests.support.ports import free_ports
from tests.support.waiting import http_client

ROOT = Path(__file__).parent.parent.parent
PORTS = 4
START_SECONDS = 40


@dataclass(frozen=True)
class DemoStack:
    """The URLs of the four running processes, and the controls of the Apideck emulator.

    Attributes:
        pid: the id of the process that has started the four.
        printed: the output of that process until all four were ready.
    """

    pid: int
    printed: str
    service: str
    apideck: str
    issuer: str
    demo: str

    def minted(self) -> list[dict[str, Any]]:
        """Return every session that the emulator has created since it was reset."""
        minted: list[dict[str, Any]] = self._emulator("GET", "minted").json()
        return minted

    def fail(self, fault: str, *, times: int | None = 1, **parameters: Any) -> None:
        """Make the emulator fail this many times; with `times=None` until it is reset."""
        self._emulator("POST", "fail", {"fault": fault, "times": times, **parameters})

    def reset(self) -> None:
        """Remove all sessions, requests and faults from the emulator."""
        self._emulator("POST", "reset")

    def _emulator(self, method: str, path: str, body: Any = None) -> httpx.Response:
        url = f"{self.apideck}/__emulator__/{path}"
        with http_client() as client:
            return client.request(method, url, json=body).raise_for_status()


@contextmanager
def demo_stack(**settings: str) -> Iterator[DemoStack]:
    """Run the demo, with further settings of the service in its environment."""
    base = free_ports(PORTS)
    environment = {name: value for name, value in os.environ.items() if "__" not in name}
    with TemporaryFile() as printed:
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "deploy" / "local" / "run.py")],
            cwd=ROOT,
            env={**environment, "DEMO_PORT_BASE": str(base), **settings},
            stdout=printed,
            stderr=subprocess.STDOUT,
        )
        try:
            output = _wait_until_ready(process, printed.fileno())
            urls = (f"http://127.0.0.1:{base + i}" for i in range(PORTS))
            yield DemoStack(process.pid, output, *urls)
        finally:
            process.terminate()
            process.wait(timeout=20)


def _wait_until_ready(process: "subprocess.Popen[bytes]", printed: int) -> str:
    deadline = time.monotonic() + START_SECONDS
    while True:
        output = os.pread(printed, 100_000, 0)
        if b"Press Ctrl-C" in output:
            return output.decode()
        assert process.poll() is None, output.decode()
        assert time.monotonic() < deadline, output.decode()
        time.sleep(0.02)
