"""A real Redis, run beside the tests."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.ports import free_ports, is_free

_START_SECONDS = 10


def missing() -> str | None:
    """Return what to install where there is no Redis, or None where there is one."""
    present = shutil.which("redis-server") is not None
    return None if present else "needs Redis: apt-get install redis-server"


@contextmanager
def redis_server(folder: Path, port: int | None = None) -> Iterator[str]:
    """Run a Redis that keeps nothing for as long as the context lasts; yields its URL."""
    port = port or free_ports()
    process = subprocess.Popen(
        ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", ""],  # noqa: S607 - whichever the machine has
        cwd=folder,
        stdout=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + _START_SECONDS
        while is_free(port) and time.monotonic() < deadline:
            time.sleep(0.01)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.terminate()
        process.wait(timeout=10)
