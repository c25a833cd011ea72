import asyncio

import pytest

from app.common.single_flight import SingleFlight


class Work:
    """Work that ends when it is told to, and remembers what became of it."""

    def __init__(self) -> None:
        self.started = 0
        self.cancelled = 0
        self.end = asyncio.Event()

    async def __call__(self) -> int:
        """Work until told to end; returns how often it was begun."""
        self.started += 1
        try:
            await self.end.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return self.started


async def joined(flight: SingleFlight[int], work: Work, count: int) -> list["asyncio.Task[int]"]:
    """Let so many callers join the work; returns once all of them wait."""
    tasks = [asyncio.create_task(flight.join("key", work)) for _ in range(count)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return tasks


async def test_callers_at_the_same_moment_share_one_piece_of_work() -> None:
    """It is done once for all of them, and anew for whoever comes after its end."""
    flight, work = SingleFlight[int](), Work()
    tasks = await joined(flight, work, 3)
    assert flight.is_under_way("key")
    work.end.set()

    assert await asyncio.gather(*tasks) == [1, 1, 1]
    assert not flight.is_under_way("key")
    assert await flight.join("key", work) == 2


async def test_other_keys_are_other_work() -> None:
    """Nobody gets an answer that was made for another key."""
    flight = SingleFlight[str]()

    async def name(text: str) -> str:
        await asyncio.sleep(0)
        return text

    answers = await asyncio.gather(*(flight.join(key, lambda key=key: name(key)) for key in "abc"))  # type: ignore[misc]

    assert answers == ["a", "b", "c"]


async def test_who_hangs_up_does_not_end_it_for_the_others() -> None:
    """The work goes on as long as somebody waits for it."""
    flight, work = SingleFlight[int](), Work()
    first, second = await joined(flight, work, 2)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    work.end.set()

    assert await second == 1
    assert work.cancelled == 0


async def test_when_the_last_one_has_left_the_work_is_cancelled() -> None:
    """Nothing is done for nobody, and who comes next begins anew."""
    flight, work = SingleFlight[int](), Work()
    tasks = await joined(flight, work, 2)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert not flight.is_under_way("key")
    work.end.set()

    assert await flight.join("key", work) == 2
    assert work.cancelled == 1


async def test_who_comes_while_work_is_being_cancelled_does_not_join_it() -> None:
    """However long it takes to let go, who comes meanwhile has work of their own."""
    flight = SingleFlight[str]()
    gone = asyncio.Event()

    async def lingering() -> str:
        try:
            await asyncio.Event().wait()
        finally:
            await gone.wait()
        return "never"

    async def prompt() -> str:
        await gone.wait()
        return "prompt"

    first = asyncio.create_task(flight.join("key", lingering))
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert not flight.is_under_way("key")
    second = asyncio.create_task(flight.join("key", prompt))
    await asyncio.sleep(0)
    gone.set()

    assert await second == "prompt"


async def test_a_failure_reaches_everyone_who_waits() -> None:
    """It is raised to all, and not remembered."""
    flight = SingleFlight[int]()

    async def fail() -> int:
        await asyncio.sleep(0)
        raise ValueError("no")

    answers = await asyncio.gather(
        *(flight.join("key", fail) for _ in range(3)), return_exceptions=True
    )

    assert [type(answer) for answer in answers] == [ValueError] * 3
    with pytest.raises(ValueError, match="no"):
        await flight.join("key", fail)
