import asyncio

import pytest
from fastapi import Request
from starlette.requests import ClientDisconnect
from starlette.types import Message

from app.api.hang_up import unless_gone


def request_until(gone: asyncio.Event) -> Request:
    """Return a request whose caller hangs up when the event is set."""

    async def receive() -> Message:
        await gone.wait()
        return {"type": "http.disconnect"}

    return Request({"type": "http"}, receive)


async def test_work_is_cancelled_when_the_caller_hangs_up() -> None:
    """What it had begun is given up, and the error says why."""
    gone = asyncio.Event()
    cancelled = False

    async def work() -> None:
        nonlocal cancelled
        gone.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled = True
            raise

    with pytest.raises(ClientDisconnect):
        await unless_gone(request_until(gone), work())

    assert cancelled


async def test_a_hang_up_in_the_moment_that_work_ends_cancels_nothing_that_follows() -> None:
    """Whoever answers next is not cancelled for a caller who left just then."""
    gone = asyncio.Event()

    async def work() -> int:
        gone.set()
        await asyncio.sleep(0)
        return 1

    assert await unless_gone(request_until(gone), work()) == 1
    for _ in range(3):
        await asyncio.sleep(0)


async def test_a_cancellation_from_outside_stays_one() -> None:
    """The end of the process is no hang-up."""
    working = asyncio.create_task(
        unless_gone(request_until(asyncio.Event()), asyncio.Event().wait())
    )
    await asyncio.sleep(0)
    working.cancel()

    with pytest.raises(asyncio.CancelledError):
        await working
