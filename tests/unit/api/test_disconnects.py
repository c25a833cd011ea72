import asyncio

import pytest
from fastapi import Request
from starlette.requests import ClientDisconnect
from starlette.types import Message

from app.api.disconnects import cancel_on_disconnect
from app.state import DISCONNECTED


class Client:
    """A client that can disconnect, and a server that reports the disconnect."""

    def __init__(self, *, has_future: bool) -> None:
        self._future: asyncio.Future[None] = asyncio.Future()
        # The work can still end in this number of event loop iterations after a disconnect.
        self.iterations = 0 if has_future else 1
        extensions = {DISCONNECTED: {"future": self._future}} if has_future else {}
        self.request = Request({"type": "http", "extensions": extensions}, self._receive)

    async def _receive(self) -> Message:
        await asyncio.shield(self._future)
        return {"type": "http.disconnect"}

    def disconnect(self) -> None:
        """Close the connection. This raises an exception if the future was cancelled."""
        self._future.set_result(None)


@pytest.fixture(params=[True, False], ids=["our server", "another server"])
async def client(request: pytest.FixtureRequest) -> Client:
    """Return a client of our server, which has a future for disconnects, or of another server."""
    return Client(has_future=request.param)


async def test_work_is_cancelled_when_the_client_disconnects(client: Client) -> None:
    """The work is cancelled, and the error is a ClientDisconnect."""
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


async def test_a_disconnect_at_the_end_of_the_work_cancels_nothing(client: Client) -> None:
    """The result is returned, and the task that sends the response is not cancelled."""

    async def work() -> int:
        client.disconnect()
        for _ in range(client.iterations):
            await asyncio.sleep(0)
        return 1

    assert await cancel_on_disconnect(client.request, work()) == 1
    for _ in range(3):
        await asyncio.sleep(0)


async def test_an_external_cancellation_is_not_reported_as_a_disconnect(client: Client) -> None:
    """For example, the server cancels requests at shutdown."""
    task = asyncio.create_task(cancel_on_disconnect(client.request, asyncio.Event().wait()))
    await asyncio.sleep(0)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    client.disconnect()
