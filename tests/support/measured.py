"""How long the service takes, and what it says itself of its requests to Apideck."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

_PREFIX = "vault_bff_apideck_"


@contextmanager
def promptly(seconds: float) -> Iterator[None]:
    """Hold that something took no longer."""
    started = time.monotonic()
    yield
    assert time.monotonic() - started < seconds


def sessions_requested(outcome: str) -> str:
    """Return the sample that counts requests for a session with this outcome, as `counted` does."""
    labels = f'application="default",operation="create_session",outcome="{outcome}"'
    return f"requests_total{{{labels}}}"


async def counted(service: httpx.AsyncClient, *names: str) -> dict[str, float]:
    """Return the metrics about Apideck, by sample.

    Args:
        service: a client of the service's.
        names: those that are wanted; without any, how often it was asked, and asked again.
    """
    page = (await service.get("/metrics")).text
    wanted = tuple(_PREFIX + name for name in names or ("requests_total", "retries_total"))
    samples = (line.rpartition(" ") for line in page.splitlines() if line.startswith(wanted))
    return {name.removeprefix(_PREFIX): float(value) for name, _, value in samples}
