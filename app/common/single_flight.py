"""Work that several callers need at the same moment, done once."""

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
    """Lets callers with the same key share one task.

    A caller who is cancelled does not cancel it for the others; the last one does.
    """

    def __init__(self) -> None:
        self._flights: dict[Hashable, _Flight[T]] = {}

    async def join(self, key: Hashable, start: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Return the result of the work under this key; start it if there is none.

        Raises:
            Exception: whatever the work raises, to each caller.
        """
        flight = self._flights.get(key)
        if flight is None:
            flight = self._flights[key] = _Flight(asyncio.create_task(start()))
            flight.task.add_done_callback(partial(self._remove, key, flight))
        flight.waiting += 1
        try:
            return await asyncio.shield(flight.task)
        finally:
            flight.waiting -= 1
            if flight.waiting == 0 and not flight.task.done():
                flight.task.cancel()
                # Immediately: the next caller must not join work that is being cancelled.
                self._remove(key, flight, flight.task)
            # An error refers to this frame, and the task to the error: a cycle, until it is cut.
            del flight

    def is_under_way(self, key: Hashable) -> bool:
        """Return whether there is work under this key to join."""
        return key in self._flights

    def _remove(self, key: Hashable, flight: _Flight[T], _: asyncio.Task[T]) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]
