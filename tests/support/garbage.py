"""Detects errors that stay in memory after the caller has dropped them."""

import asyncio
import gc
import weakref
from collections.abc import Awaitable, Callable
from typing import Any


async def errors_in_cycles(fail: Callable[[], Awaitable[Any]], error: type[Exception]) -> list[str]:
    """Return the errors in reference cycles, which only the garbage collector frees.

    Args:
        fail: returns an awaitable that raises the error.
        error: the class of the error. It and the classes of its causes must be defined in Python:
            built-in exceptions do not support weak references.
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
