"""Not going on for somebody who has gone."""

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

from fastapi import Request
from starlette.requests import ClientDisconnect

T = TypeVar("T")


async def unless_gone(request: Request, work: Awaitable[T]) -> T:
    """Return what the work comes to; cancel it when the caller hangs up first.

    The request's body must have been read: what a server reports next is that nobody is there.

    Raises:
        ClientDisconnect: the caller has hung up.
    """
    working = asyncio.current_task()
    assert working is not None  # noqa: S101 - a coroutine runs in a task
    gone = over = False

    def stop(_: asyncio.Future[Any]) -> None:
        nonlocal gone
        # It may be on its way already when the work ends; whoever answers then is let alone.
        if not over:
            gone = True
            working.cancel()

    watching = asyncio.ensure_future(request.receive())
    watching.add_done_callback(stop)
    try:
        return await work
    except asyncio.CancelledError:
        # As asyncio.timeout has it: cancelled by us alone, and by nobody else as well.
        if gone and working.uncancel() == 0:
            raise ClientDisconnect from None
        raise
    finally:
        over = True
        watching.remove_done_callback(stop)
        watching.cancel()
