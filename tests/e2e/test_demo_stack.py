"""`make demo`, from its first line to its last, as a newcomer runs it."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.ports import free_ports, is_free

ROOT = Path(__file__).parent.parent.parent
RUN = [sys.executable, str(ROOT / "deploy" / "local" / "run.py")]
PORTS = 4


@pytest.fixture
def base() -> int:
    """Return the first of four free ports in a row."""
    return free_ports(PORTS)


@pytest.fixture
def demo(base: int) -> Iterator[subprocess.Popen[str]]:
    """Start the demo; ends it the hard way should a test have failed to."""
    process = subprocess.Popen(
        RUN,
        cwd=ROOT,
        env={**os.environ, "DEMO_PORT_BASE": str(base)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    yield process
    if process.poll() is None:
        process.terminate()
    process.communicate(timeout=20)


def until_ready(process: subprocess.Popen[str]) -> str:
    """Return what the demo prints until it says that it is ready."""
    assert process.stdout is not None
    printed = ""
    for line in process.stdout:
        printed += line
        if "Press Ctrl-C" in line:
            break
    return printed


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_printed_line_gives_a_link_to_ones_own_vault(
    demo: subprocess.Popen[str], base: int, number: signal.Signals
) -> None:
    """Pasted into a shell it answers 201; the link shows who asked; Ctrl-C ends all with 0."""
    printed = until_ready(demo)
    [line] = re.findall(r"curl -s -X POST.*?\n.*?\n", printed, re.DOTALL)

    pasted = subprocess.run(
        ["/bin/sh", "-c", line], check=True, capture_output=True, text=True, timeout=20
    )

    link = httpx.Response(201, text=pasted.stdout).json()["redirect_url"]
    page = httpx.get(link).text
    for shown in ("Ada Byron", "Acme Inc.", "ada@acme.example"):
        assert shown in page
    demo.send_signal(number)
    rest, _ = demo.communicate(timeout=20)
    assert demo.returncode == 0
    assert "Traceback" not in printed + rest
    assert all(is_free(base + i) for i in range(PORTS))


def test_a_taken_port_is_named(base: int) -> None:
    """Where a port is taken, one line says so and how to choose others."""
    with socket.create_server(("127.0.0.1", base + 2)):
        ended = subprocess.run(
            RUN,
            cwd=ROOT,
            env={**os.environ, "DEMO_PORT_BASE": str(base)},
            check=False,
            capture_output=True,
            text=True,
            timeout=30,
        )

    assert ended.returncode == 1
    assert f"Port {base + 2} is taken" in ended.stderr
    assert "DEMO_PORT_BASE" in ended.stderr
    assert all(is_free(base + i) for i in range(PORTS))
