"""Fixtures of the tests of the server."""

import signal
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _restored_signal_handlers() -> Iterator[None]:
    """Restore the signal handlers that servers and supervisors change in this process."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
