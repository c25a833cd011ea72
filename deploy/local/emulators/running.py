"""What the command lines of the emulators share."""

import argparse
import signal
import threading
from contextlib import AbstractContextManager
from typing import Protocol


class Servable(Protocol):
    """Something that can be served on a port."""

    def serve(self, port: int = 0, *, host: str = "127.0.0.1") -> AbstractContextManager[str]:
        """Serve it for as long as the context lasts; yields its URL."""
        ...


def run(name: str, default_port: int, servable: Servable) -> None:
    """Serve until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(description=name)
    parser.add_argument("--host", default="127.0.0.1", help="in a container 0.0.0.0")
    parser.add_argument("--port", type=int, default=default_port)
    chosen = parser.parse_args()
    end = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: end.set())
    with servable.serve(chosen.port, host=chosen.host) as url:
        print(f"{name} on {url}", flush=True)
        end.wait()
