import asyncio

import pytest

from app.common.single_flight import SingleFlight
from tests.support.garbage import errors_in_cycles


class Work:
    """Work that runs until the test sets `end`.

    Attributes:
        started: how often it was started.
        cancelled: how often it was cancelled.
    """

    def __init__(self) -> None:
        self.started = 0
        self.cancelled = 0
        self.end = asyncio.Event()

    async def __call__(self) -> int:
        """Wait for the end, and return how often the work was started."""
        self.started += 1
        try:
            await self.end.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return self.started


async def start_callers(
    flight: SingleFlight[int], work: Work, count: int
) -> list["asyncio.Task[int]"]:
    """Let callers join the work, and return their tasks once all of them wait."""
    tasks = [asyncio.create_task(flight.join("key", work)) for _ in range(count)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return tasks


async def test_concurrent_callers_share_one_task() -> None:
    """The work is done once for all of them, and again for a caller after its end."""
    flight, work = SingleFlight[int](), Work()
    tasks = await start_callers(flight, work, 3)
    assert flight.is_under_way("key")
    work.end.set()

    assert await asyncio.gather(*tasks) == [1, 1, 1]
    assert not flight.is_under_way("key")
    assert await flight.join("key", work) == 2


async def test_each_key_has_its_own_work() -> None:
    """No caller gets the result of a different key."""
    flight = SingleFlight[str]()

    async def name(text: str) -> str:
        await asyncio.sleep(0)
        return text

    results = await asyncio.gather(*(flight.join(key, lambda key=key: name(key)) for key in "abc"))  # type: ignore[misc]

    assert results == ["a", "b", "c"]


async def test_a_cancelled_caller_does_not_cancel_the_work_for_others() -> None:
    """The work continues as long as any caller waits for it."""
    flight, work = SingleFlight[int](), Work()
    first, second = await start_callers(flight, work, 2)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    work.end.set()

    assert await second == 1
    assert work.cancelled == 0


async def test_the_work_is_cancelled_with_its_last_caller() -> None:
    """The next caller starts the work again."""
    flight, work = SingleFlight[int](), Work()
    tasks = await start_callers(flight, work, 2)
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


async def test_a_failure_creates_no_reference_cycle() -> None:
    """A traceback refers to the caller's variables, so a cycle would keep them in memory."""

    class Failure(Exception):  # noqa: N818 - used in this test only
        pass

    async def fail() -> int:
        await asyncio.sleep(0)
        raise Failure

    assert await errors_in_cycles(lambda: SingleFlight[int]().join("key", fail), Failure) == []
