import asyncio

import pytest
from fastapi import Request
from starlette.requests import ClientDisconnect
from starlette.types import Message

from app.api.disconnects import cancel_on_disconnect
from app.state import DISCONNECTED


class Client:
    """A client that can disconnect, and a server that reports it."""

    def __init__(self, server: str) -> None:
        self._future: asyncio.Future[None] = asyncio.Future()
        own = server == "our server"
        # How many turns of the event loop later the work is cancelled, less one.
        self.turns = 0 if own else 1
        extensions = {DISCONNECTED: {"future": self._future}} if own else {}
        self.request = Request({"type": "http", "extensions": extensions}, self._receive)

    async def _receive(self) -> Message:
        await asyncio.shield(self._future)
        return {"type": "http.disconnect"}

    def disconnect(self) -> None:
        """Close the connection; a future that was cancelled would raise here."""
        self._future.set_result(None)


@pytest.fixture(params=["our server", "another server"])
async def client(request: pytest.FixtureRequest) -> Client:
    """Return a client of our server, which has a future for this, and of another one."""
    return Client(request.param)


async def test_work_is_cancelled_when_the_client_disconnects(client: Client) -> None:
    """The work is cancelled, and the error says why."""
    cancelled = False

    async def work() -> None:
        nonlocal cancelled
        client.disconnect()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled = True
            raise

    with pytest.raises(ClientDisconnect):
        await cancel_on_disconnect(client.request, work())

    assert cancelled


async def test_a_disconnect_at_the_moment_that_work_ends_cancels_nothing(client: Client) -> None:
    """The result is returned, and the task that goes on to respond is not cancelled."""

    async def work() -> int:
        client.disconnect()
        for _ in range(client.turns):
            await asyncio.sleep(0)
        return 1

    assert await cancel_on_disconnect(client.request, work()) == 1
    for _ in range(3):
        await asyncio.sleep(0)


async def test_a_cancellation_from_outside_stays_a_cancellation(client: Client) -> None:
    """The server's cancellation at shutdown is not mistaken for a disconnect."""
    task = asyncio.create_task(cancel_on_disconnect(client.request, asyncio.Event().wait()))
    await asyncio.sleep(0)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    client.disconnect()
