"""Functions that worker processes run in the tests of the supervisor, instead of the service."""

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path

from app.server.channel import respond


def responding(end: socket.socket) -> None:
    """Respond to the supervisor until a signal ends the process."""
    metrics: list[object] = [("pid", "", "gauge", [("pid", {}, float(os.getpid()))])]
    reports = {
        "alive": lambda: True,
        "readyz": lambda: {"status": "ready"},
        "metrics": lambda: metrics,
    }
    asyncio.run(respond(end, reports))


def recording(folder: Path, end: socket.socket) -> None:
    """Write the name of each signal to a file of this process, and exit on SIGINT."""
    file = folder / str(os.getpid())

    def record(number: int, _: object) -> None:
        with file.open("a") as out:
            out.write(f"{signal.Signals(number).name}\n")
        if number == signal.SIGINT:
            sys.exit(0)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, record)
    file.touch()
    while True:
        end.recv(1)  # Requests of the supervisor get no response.


def failing_to_start(end: socket.socket) -> None:
    """Exit as uvicorn does if the app does not start."""
    end.close()
    sys.exit(3)


def crashing(end: socket.socket) -> None:
    """Exit as Python does after an exception."""
    end.close()
    sys.exit(1)
