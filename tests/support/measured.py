"""Durations, and the service's metrics about its requests to Apideck."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

_PREFIX = "vault_bff_apideck_"


@contextmanager
def takes_less_than(seconds: float) -> Iterator[None]:
    """Assert that the block takes less than this many seconds."""
    started = time.monotonic()
    yield
    assert time.monotonic() - started < seconds


def sessions_requested(outcome: str) -> str:
    """Return the key in `apideck_metrics` that counts requests for a session with this outcome."""
    labels = f'application="default",operation="create_session",outcome="{outcome}"'
    return f"requests_total{{{labels}}}"


async def apideck_metrics(service: httpx.AsyncClient, *names: str) -> dict[str, float]:
    """Return the metrics about Apideck, by sample.

    Args:
        service: a client of the service.
        names: the names of the metrics; by default the counts of requests and of retries.
    """
    page = (await service.get("/metrics")).text
    wanted = tuple(_PREFIX + name for name in names or ("requests_total", "retries_total"))
    samples = (line.rpartition(" ") for line in page.splitlines() if line.startswith(wanted))
    return {name.removeprefix(_PREFIX): float(value) for name, _, value in samples}
