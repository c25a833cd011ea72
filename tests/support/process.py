"""The service as a process of its own: `python -m app`, as an operator runs it."""

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
PATIENT_SECONDS = 30


def environment_for(issuer_url: str, apideck_url: str, port: int) -> dict[str, str]:
    """Return the environment of a service between an issuer and an Apideck."""
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
    """Start a command of the service's.

    Args:
        command: what it is to do.
        environment: its environment.
        options: what more the command is told.
        program: the module to run instead of the service's own, and arguments before the command.
        into: files for stdout and stderr, where more is written than a pipe holds.
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
def serving(environment: dict[str, str], **how: Any) -> Iterator["subprocess.Popen[str]"]:
    """Run the service once it is ready; ends it the hard way should nobody else have.

    Args:
        environment: its environment.
        how: further arguments of `start`.
    """
    process = start("serve", environment, **how)
    until_ready(
        url(environment, "/readyz"), START_SECONDS, is_running=lambda: process.poll() is None
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=10)


def url(environment: dict[str, str], path: str) -> str:
    """Return a URL of the running service."""
    return f"http://127.0.0.1:{environment['SERVER__PORT']}{path}"


def until(holds: Callable[[], bool]) -> None:
    """Wait for what the service does in a time of its own."""
    deadline = time.monotonic() + PATIENT_SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)
