"""Latency of probes on new connections while other connections keep the service busy."""

import http.client
import statistics
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

_INTERVAL_SECONDS = 0.5
_TIMEOUT_SECONDS = 30.0


@contextmanager
def probing(port: int, path: str = "/livez") -> Iterator[list[float]]:
    """Send probes until the context exits; yields the list of their durations in seconds."""
    durations: list[float] = []
    stopped = threading.Event()

    def probe() -> None:
        while not stopped.wait(_INTERVAL_SECONDS):
            started = time.perf_counter()
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_SECONDS)
            try:
                connection.request("GET", path)
                connection.getresponse().read()
            except OSError:
                pass  # For a failed probe, the time until the failure counts.
            finally:
                connection.close()
            durations.append(time.perf_counter() - started)

    thread = threading.Thread(target=probe)
    thread.start()
    try:
        yield durations
    finally:
        stopped.set()
        thread.join()


def show(probes: Mapping[str, list[float]]) -> None:
    """Print the durations as a table."""
    print("\n### g: probes on new connections, with 8,000 busy connections\n")
    print("| contestant | probes | p50 ms | max ms |\n| --- | ---: | ---: | ---: |")
    for contestant, durations in probes.items():
        p50_ms, max_ms = 1000 * statistics.median(durations), 1000 * max(durations)
        print(f"| {contestant} | {len(durations)} | {p50_ms:,.0f} | {max_ms:,.0f} |")
