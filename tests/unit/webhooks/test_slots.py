"""Limits on how many tasks do something at the same time."""

import asyncio

import pytest

from app.webhooks.errors import RelayOverloadedError
from app.webhooks.slots import NewestFirst


async def test_the_first_to_enter_makes_way() -> None:
    """The others stay, and a task that has left makes way for none."""
    slots, leave = NewestFirst(2), asyncio.Event()

    async def enter(*, until: asyncio.Event) -> str:
        async with slots.slot():
            await until.wait()
        return "left"

    gone = asyncio.Event()
    gone.set()
    assert await enter(until=gone) == "left"
    first, second = (asyncio.create_task(enter(until=leave)) for _ in range(2))
    await asyncio.sleep(0)
    third = asyncio.create_task(enter(until=leave))
    with pytest.raises(RelayOverloadedError, match="Too many events are being received"):
        await first
    assert not second.done()
    leave.set()
    assert list(await asyncio.gather(second, third)) == ["left", "left"]
