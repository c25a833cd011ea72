"""Runs the service in each way that README.md shows, from installation to the first response.

    python -m tests.support.ways_to_run checkout pip pipx uvx

This script uses the standard library only, because CI has no packages when it runs the first way.
It prints how long each way took; a way fails after ten minutes. pip installs the wheel in dist/.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent.parent
SECONDS: Final = 600
SETTINGS: Final = {
    "APIDECK__API_KEY": "sk_live_0123456789",
    "APIDECK__APP_ID": "app",
    "IDENTITY__ISSUERS__MAIN__ISSUER": "https://id.example.com/",
    "IDENTITY__ISSUERS__MAIN__AUDIENCE": "vault-bff",
}


class Way:
    """One way, in a separate temporary folder, without the user's caches and settings."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._environment = {
            **os.environ,
            **SETTINGS,
            "PIP_NO_COMPILE": "1",  # Python then compiles only the modules that it imports.
            "PIPX_HOME": str(folder / "pipx"),
            "PIPX_BIN_DIR": str(folder / "bin"),
            "PIPX_MAN_DIR": str(folder / "man"),
            "UV_CACHE_DIR": str(folder.parent / "uv"),
        }

    def checkout(self) -> None:
        """Run the service from the checkout of the repository."""
        self._serve("make", "run")

    def pip(self) -> None:
        """Install the wheel in an empty virtual environment."""
        [wheel] = (ROOT / "dist").glob("*.whl")
        self._run(sys.executable, "-m", "venv", self._folder / "venv")
        self._run(self._folder / "venv" / "bin" / "pip", "install", "--quiet", wheel)
        self._use(self._folder / "venv" / "bin" / "vault-bff")

    def pipx(self) -> None:
        """Install the command with pipx."""
        self._run(_tool("pipx"), "install", "--quiet", ROOT)
        self._use(self._folder / "bin" / "vault-bff")

    def uvx(self) -> None:
        """Run the command with uvx, without an installation."""
        self._use(_tool("uvx"), "--quiet", "--from", ROOT, "vault-bff")

    def _use(self, *command: str | Path) -> None:
        self._run(*command, "--version")
        self._run(*command, "check")
        self._serve(*command, "serve")

    def _run(self, *command: str | Path) -> None:
        ended = subprocess.run(
            command,
            check=False,
            cwd=self._folder,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
        if ended.returncode:
            raise RuntimeError(f"{command}: {ended.stdout}{ended.stderr}")

    def _serve(self, *command: str | Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as unused:
            port = unused.getsockname()[1]
        process = subprocess.Popen(
            command,
            cwd=ROOT if command[0] == "make" else self._folder,
            env={**self._environment, "SERVER__PORT": str(port)},
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            _wait_for_response(f"http://127.0.0.1:{port}/livez", process)
        finally:
            # make and uvx are the parents of the service.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            process.wait(timeout=30)


def _tool(name: str) -> Path:
    return Path(sys.executable).parent / name


def _wait_for_response(url: str, process: "subprocess.Popen[bytes]") -> None:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with direct.open(url, timeout=5):
                return
        except OSError:
            time.sleep(0.1)
    raise TimeoutError(f"{process.args!r} does not serve {url}")


def _timed(name: str, folder: Path) -> None:
    way: Callable[[], None] = getattr(Way(folder), name)
    started = time.monotonic()
    way()
    print(f"{name}: {time.monotonic() - started:.0f} s to the first response", flush=True)  # noqa: T201


def main(names: list[str]) -> None:
    """Run several ways at the same time. Ways with uv share a cache, which is empty at first."""
    with tempfile.TemporaryDirectory() as home, ThreadPoolExecutor() as pool:
        folders = [Path(home) / name for name in names]
        for folder in folders:
            folder.mkdir()
        list(pool.map(_timed, names, folders))


if __name__ == "__main__":
    main(sys.argv[1:])
