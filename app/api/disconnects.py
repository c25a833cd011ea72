"""Stops work when the client disconnects."""

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

from fastapi import Request
from starlette.requests import ClientDisconnect

from ..state import disconnect_of

T = TypeVar("T")


async def cancel_on_disconnect(request: Request, work: Awaitable[T]) -> T:
    """Return the result of the work; cancel it if the client disconnects first.

    Args:
        request: a request whose body has been read: the next thing that the server reports is that
            the client has disconnected. Our server also has a future for that (`disconnect_of`).
        work: what to wait for.

    Raises:
        ClientDisconnect: the client has disconnected.
    """
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - a coroutine runs in a task
    disconnected = done = False

    def cancel(_: asyncio.Future[Any]) -> None:
        nonlocal disconnected
        # This callback may already be scheduled when the work ends; the task then goes on to
        # respond, and must not be cancelled.
        if not done:
            disconnected = True
            task.cancel()

    # The future of our server spares most of the cost of a task for each request.
    reported = disconnect_of(request.scope)
    watcher: asyncio.Future[Any] = reported or asyncio.ensure_future(request.receive())
    watcher.add_done_callback(cancel)
    try:
        return await work
    except asyncio.CancelledError:
        # As in asyncio.timeout: the cancellation is ours only if there is no other.
        if disconnected and task.uncancel() == 0:
            raise ClientDisconnect from None
        raise
    finally:
        done = True
        watcher.remove_done_callback(cancel)
        if reported is None:
            watcher.cancel()
