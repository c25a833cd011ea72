"""What is left of an error once the caller has dropped it."""

import asyncio
import gc
import weakref
from collections.abc import Awaitable, Callable
from typing import Any


async def left_of(fail: Callable[[], Awaitable[Any]], error: type[Exception]) -> list[str]:
    """Return the errors that only the garbage collector would free.

    Args:
        fail: what to await; it raises the error.
        error: the class of the error. With its causes, it must be one that we define: others have
            no weak references.
    """
    gc.collect()
    gc.disable()
    try:
        raised = await _raised(fail, error)
        for _ in range(5):
            await asyncio.sleep(0)
        return [type(one).__name__ for ref in raised if (one := ref()) is not None]
    finally:
        gc.enable()


async def _raised(
    fail: Callable[[], Awaitable[Any]], error: type[Exception]
) -> list[weakref.ref[BaseException]]:
    raised: list[weakref.ref[BaseException]] = []
    try:
        await fail()
    except error as caught:
        cause: BaseException | None = caught
        while cause is not None and weakref.ref(cause) not in raised:
            raised.append(weakref.ref(cause))
            cause = cause.__cause__ or cause.__context__
    assert raised
    return raised
