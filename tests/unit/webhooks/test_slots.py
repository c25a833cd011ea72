"""Limits on the number of concurrent tasks."""

import asyncio

import pytest

from app.webhooks.errors import RelayOverloadedError
from app.webhooks.slots import NewestFirst


async def test_the_oldest_task_loses_its_slot_to_a_new_task() -> None:
    """Other tasks keep their slots, and a task that has left does not count."""
    slots, leave = NewestFirst(2), asyncio.Event()

    async def enter(*, until: asyncio.Event) -> str:
        async with slots.slot():
            await until.wait()
        return "left"

    finished = asyncio.Event()
    finished.set()
    assert await enter(until=finished) == "left"
    first, second = (asyncio.create_task(enter(until=leave)) for _ in range(2))
    await asyncio.sleep(0)
    third = asyncio.create_task(enter(until=leave))
    with pytest.raises(RelayOverloadedError, match="Too many events are being received"):
        await first
    assert not second.done()
    leave.set()
    assert list(await asyncio.gather(second, third)) == ["left", "left"]
