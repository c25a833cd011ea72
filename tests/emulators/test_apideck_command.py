"""The command `python -m emulators.apideck`."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.support.apideck_calls import create_session

LOCAL = Path(__file__).parent.parent.parent / "deploy" / "local"


@contextmanager
def emulator(*options: str, **environment: str) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """Run the emulator on a free port; yields the process and its URL."""
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "emulators.apideck", "--port", "0", *options],
        cwd=LOCAL,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    try:
        match = re.fullmatch(r"Apideck emulator on (http://\S+)\n", process.stdout.readline())
        assert match is not None
        yield process, match[1]
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=10)


def status(url: str, key: str) -> int:
    """Return the status of a request for a session with this key."""
    return create_session(url, {"authorization": f"Bearer {key}"}).status_code


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_prints_one_line_and_exits_cleanly(number: signal.Signals) -> None:
    """After a signal it exits with status 0 and prints nothing else, even after a fault."""
    with emulator() as (process, url):
        httpx.post(f"{url}/__emulator__/fail", json={"fault": "close"})
        with pytest.raises(httpx.RemoteProtocolError):
            status(url, "any")
        process.send_signal(number)
        rest, _ = process.communicate(timeout=10)

    assert process.returncode == 0
    assert rest == ""


def test_the_key_is_set_by_an_option_or_the_environment() -> None:
    """The option takes precedence over the environment variable."""
    with emulator(EMULATOR_API_KEY="from-environment") as (_, url):
        assert [status(url, key) for key in ("from-environment", "other")] == [200, 401]
    with emulator("--api-key", "option", EMULATOR_API_KEY="from-environment") as (_, url):
        assert [status(url, key) for key in ("option", "from-environment")] == [200, 401]
