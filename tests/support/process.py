"""Runs the service as a process: `python -m app`, as an operator does."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from emulators.apideck.emulator import API_KEY
from tests.support.waiting import until_ready

ROOT = Path(__file__).parent.parent.parent
START_SECONDS = 60
TIMEOUT_SECONDS = 30


def environment_for(issuer_url: str, apideck_url: str, port: int) -> dict[str, str]:
    """Return the environment of a service that uses this issuer and this Apideck."""
    return {
        **os.environ,
        "APIDECK__API_KEY": API_KEY,
        "APIDECK__APP_ID": "app",
        "APIDECK__BASE_URL": apideck_url,
        "APIDECK__VAULT_ORIGINS": json.dumps([apideck_url]),
        "IDENTITY__ISSUERS__MAIN__ISSUER": issuer_url,
        "IDENTITY__ISSUERS__MAIN__AUDIENCE": "vault-bff",
        "SERVER__PORT": str(port),
    }


def start(
    command: str,
    environment: dict[str, str],
    *options: str,
    program: Sequence[str] = ("app",),
    into: tuple[IO[str], IO[str]] | None = None,
) -> "subprocess.Popen[str]":
    """Start a command of the service.

    Args:
        command: the command.
        environment: its environment.
        options: its options.
        program: the module to run instead of `app`, and arguments before the command.
        into: files for stdout and stderr, if the output is larger than a pipe's buffer.
    """
    out, err = into or (subprocess.PIPE, subprocess.PIPE)
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-m", *program, command, *options],
        cwd=ROOT,
        env=environment,
        stdout=out,
        stderr=err,
        text=True,
    )


@contextmanager
def serving(environment: dict[str, str], **arguments: Any) -> Iterator["subprocess.Popen[str]"]:
    """Run the service, and wait until it is ready; kill it if it is still running at the end.

    Args:
        environment: its environment.
        arguments: other arguments of `start`.
    """
    process = start("serve", environment, **arguments)
    port = environment.get("SERVER__INTERNAL_PORT", environment["SERVER__PORT"])
    until_ready(
        url({"SERVER__PORT": port}, "/readyz"),
        START_SECONDS,
        is_running=lambda: process.poll() is None,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=10)


def url(environment: dict[str, str], path: str) -> str:
    """Return a URL on the public port."""
    return f"http://127.0.0.1:{environment['SERVER__PORT']}{path}"


def until(condition: Callable[[], bool], seconds: float = TIMEOUT_SECONDS) -> None:
    """Wait until a condition is true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
