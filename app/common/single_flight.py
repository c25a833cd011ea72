"""Work that several callers want at the same moment, done once."""

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from functools import partial
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class _Flight(Generic[T]):
    def __init__(self, task: asyncio.Task[T]) -> None:
        self.task = task
        self.waiting = 0


class SingleFlight(Generic[T]):
    """Joins callers with the same key to one piece of work under way.

    Who hangs up does not end it for the others; when the last one has, it is cancelled.
    """

    def __init__(self) -> None:
        self._flights: dict[Hashable, _Flight[T]] = {}

    async def join(self, key: Hashable, start: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Return what the work under this key comes to; start it when none is under way.

        Raises:
            Exception: whatever the work raises, to everyone who waits for it.
        """
        flight = self._flights.get(key)
        if flight is None:
            flight = self._flights[key] = _Flight(asyncio.create_task(start()))
            flight.task.add_done_callback(partial(self._land, key, flight))
        flight.waiting += 1
        try:
            return await asyncio.shield(flight.task)
        finally:
            flight.waiting -= 1
            if flight.waiting == 0 and not flight.task.done():
                flight.task.cancel()
                self._land(
                    key, flight, flight.task
                )  # At once: who comes now must not join what is ending.

    def is_under_way(self, key: Hashable) -> bool:
        """Tell whether there is work under this key to join."""
        return key in self._flights

    def _land(self, key: Hashable, flight: _Flight[T], _: asyncio.Task[T]) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]
