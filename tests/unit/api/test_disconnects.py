import asyncio

import pytest
from fastapi import Request
from starlette.requests import ClientDisconnect
from starlette.types import Message

from app.api.disconnects import cancel_on_disconnect


def request_until(disconnected: asyncio.Event) -> Request:
    """Return a request whose client disconnects when the event is set."""

    async def receive() -> Message:
        await disconnected.wait()
        return {"type": "http.disconnect"}

    return Request({"type": "http"}, receive)


async def test_work_is_cancelled_when_the_client_disconnects() -> None:
    """The work is cancelled, and the error says why."""
    disconnected = asyncio.Event()
    cancelled = False

    async def work() -> None:
        nonlocal cancelled
        disconnected.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled = True
            raise

    with pytest.raises(ClientDisconnect):
        await cancel_on_disconnect(request_until(disconnected), work())

    assert cancelled


async def test_a_disconnect_at_the_moment_that_work_ends_cancels_nothing() -> None:
    """The result is returned, and the task that goes on to respond is not cancelled."""
    disconnected = asyncio.Event()

    async def work() -> int:
        disconnected.set()
        await asyncio.sleep(0)
        return 1

    assert await cancel_on_disconnect(request_until(disconnected), work()) == 1
    for _ in range(3):
        await asyncio.sleep(0)


async def test_a_cancellation_from_outside_stays_a_cancellation() -> None:
    """The server's cancellation at shutdown is not mistaken for a disconnect."""
    task = asyncio.create_task(
        cancel_on_disconnect(request_until(asyncio.Event()), asyncio.Event().wait())
    )
    await asyncio.sleep(0)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
