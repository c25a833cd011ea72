"""Not going on for somebody who has gone."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from fastapi import Request
from starlette.requests import ClientDisconnect

T = TypeVar("T")


async def unless_gone(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Return what the work comes to; cancel it when the caller hangs up first.

    The request's body must have been read: what a server reports next is that nobody is there.

    Raises:
        ClientDisconnect: the caller has hung up.
    """
    working = asyncio.ensure_future(work)
    watching = asyncio.ensure_future(request.receive())
    try:
        await asyncio.wait((working, watching), return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return await working
        raise ClientDisconnect
    finally:
        for task in (working, watching):
            task.cancel()
