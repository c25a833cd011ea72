"""The command line of the emulators."""

import argparse
import signal
import threading
from contextlib import AbstractContextManager
from typing import Protocol


class Servable(Protocol):
    """A server that can be run on a port."""

    def serve(self, port: int = 0, *, host: str = "127.0.0.1") -> AbstractContextManager[str]:
        """Serve until the context ends; yields the URL."""
        ...


def run(name: str, default_port: int, servable: Servable) -> None:
    """Serve until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(description=name)
    parser.add_argument("--host", default="127.0.0.1", help="0.0.0.0 in a container")
    parser.add_argument("--port", type=int, default=default_port)
    chosen = parser.parse_args()
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with servable.serve(chosen.port, host=chosen.host) as url:
        print(f"{name} on {url}", flush=True)
        stop.wait()
