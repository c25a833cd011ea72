"""How long a probe on a new connection takes while other connections keep the service busy."""

import http.client
import statistics
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

_EVERY_SECONDS = 0.5
_TIMEOUT_SECONDS = 30.0


@contextmanager
def probing(port: int, path: str = "/livez") -> Iterator[list[float]]:
    """Probe for as long as the context lasts; yields the seconds that each probe took."""
    took: list[float] = []
    over = threading.Event()

    def probe() -> None:
        while not over.wait(_EVERY_SECONDS):
            started = time.perf_counter()
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_SECONDS)
            try:
                connection.request("GET", path)
                connection.getresponse().read()
            except OSError:
                pass  # Counted with the time that passed until it failed.
            finally:
                connection.close()
            took.append(time.perf_counter() - started)

    thread = threading.Thread(target=probe)
    thread.start()
    try:
        yield took
    finally:
        over.set()
        thread.join()


def show(probes: Mapping[str, list[float]]) -> None:
    """Print what was measured."""
    print("\n### g: a probe on a new connection, while 8,000 others are busy\n")
    print("| contestant | probes | p50 ms | worst ms |\n| --- | ---: | ---: | ---: |")
    for contestant, took in probes.items():
        middle, worst = 1000 * statistics.median(took), 1000 * max(took)
        print(f"| {contestant} | {len(took)} | {middle:,.0f} | {worst:,.0f} |")
