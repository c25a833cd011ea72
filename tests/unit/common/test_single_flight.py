import asyncio

import pytest

from app.common.single_flight import SingleFlight
from tests.support.garbage import left_of


class Work:
    """Work that ends when the test says so.

    Attributes:
        started: how often it was started.
        cancelled: how often it was cancelled.
    """

    def __init__(self) -> None:
        self.started = 0
        self.cancelled = 0
        self.end = asyncio.Event()

    async def __call__(self) -> int:
        """Wait for the end; returns how often the work was started."""
        self.started += 1
        try:
            await self.end.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return self.started


async def joined(flight: SingleFlight[int], work: Work, count: int) -> list["asyncio.Task[int]"]:
    """Let callers join the work; returns once all of them wait."""
    tasks = [asyncio.create_task(flight.join("key", work)) for _ in range(count)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return tasks


async def test_concurrent_callers_share_one_task() -> None:
    """The work is done once for all of them, and again for a caller after its end."""
    flight, work = SingleFlight[int](), Work()
    tasks = await joined(flight, work, 3)
    assert flight.is_under_way("key")
    work.end.set()

    assert await asyncio.gather(*tasks) == [1, 1, 1]
    assert not flight.is_under_way("key")
    assert await flight.join("key", work) == 2


async def test_other_keys_are_separate_work() -> None:
    """No caller gets a result of another key."""
    flight = SingleFlight[str]()

    async def name(text: str) -> str:
        await asyncio.sleep(0)
        return text

    results = await asyncio.gather(*(flight.join(key, lambda key=key: name(key)) for key in "abc"))  # type: ignore[misc]

    assert results == ["a", "b", "c"]


async def test_a_cancelled_caller_does_not_cancel_the_work_for_others() -> None:
    """The work continues as long as any caller waits for it."""
    flight, work = SingleFlight[int](), Work()
    first, second = await joined(flight, work, 2)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    work.end.set()

    assert await second == 1
    assert work.cancelled == 0


async def test_the_last_caller_who_is_cancelled_cancels_the_work() -> None:
    """The next caller starts it again."""
    flight, work = SingleFlight[int](), Work()
    tasks = await joined(flight, work, 2)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert not flight.is_under_way("key")
    work.end.set()

    assert await flight.join("key", work) == 2
    assert work.cancelled == 1


async def test_a_new_caller_does_not_join_work_that_is_being_cancelled() -> None:
    """However long the cancellation takes, a new caller starts new work."""
    flight = SingleFlight[str]()
    finished = asyncio.Event()

    async def lingering() -> str:
        try:
            await asyncio.Event().wait()
        finally:
            await finished.wait()
        return "never"

    async def prompt() -> str:
        await finished.wait()
        return "prompt"

    first = asyncio.create_task(flight.join("key", lingering))
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert not flight.is_under_way("key")
    second = asyncio.create_task(flight.join("key", prompt))
    await asyncio.sleep(0)
    finished.set()

    assert await second == "prompt"


async def test_a_failure_reaches_every_caller() -> None:
    """It is raised for each of them, and not cached."""
    flight = SingleFlight[int]()

    async def fail() -> int:
        await asyncio.sleep(0)
        raise ValueError("no")

    results = await asyncio.gather(
        *(flight.join("key", fail) for _ in range(3)), return_exceptions=True
    )

    assert [type(result) for result in results] == [ValueError] * 3
    with pytest.raises(ValueError, match="no"):
        await flight.join("key", fail)


async def test_a_failure_leaves_nothing_for_the_garbage_collector() -> None:
    """An error refers to everything that the caller had in memory."""

    class Failure(Exception):  # noqa: N818 - it has no other name
        pass

    async def fail() -> int:
        await asyncio.sleep(0)
        raise Failure

    assert await left_of(lambda: SingleFlight[int]().join("key", fail), Failure) == []
