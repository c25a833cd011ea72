"""Relays the log of the service to the terminal, and to the demo's server, which shows it."""

import contextlib
import json
import sys
import threading
from typing import IO, Any


def relay(log: IO[bytes], demo: IO[bytes], *, console: bool) -> threading.Thread:
    """Start a thread that relays the service's log until it ends; return the thread.

    Args:
        log: the service's stdout, JSON lines.
        demo: the stdin of the demo's server.
        console: whether the terminal gets readable lines instead of JSON.
    """

    def run() -> None:
        for line in log:
            sys.stdout.write(readable(line) if console else line.decode(errors="replace"))
            sys.stdout.flush()
            # The demo's server may have exited, but the terminal still gets the log.
            with contextlib.suppress(OSError, ValueError):
                demo.write(line)
                demo.flush()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def readable(line: bytes) -> str:
    """Return a readable log line; a line that is not an event is returned unchanged."""
    try:
        event = json.loads(line)
        head = f"{event.pop('timestamp')} [{event.pop('level'):8}] {event.pop('event'):30}"
    except (ValueError, KeyError, TypeError, AttributeError):
        return line.decode(errors="replace")
    fields = (f"{name}={_shown(value)}" for name, value in event.items())
    return " ".join([head, *fields]).rstrip() + "\n"


def _shown(value: Any) -> str:
    # JSON escapes control characters, so that a value cannot forge another line.
    return value if isinstance(value, str) and value.isalnum() else json.dumps(value)
