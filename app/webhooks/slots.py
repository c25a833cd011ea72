"""A limit on how much happens at the same time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType

from .errors import RelayOverloadedError


class Slots:
    """A context that so many tasks can be in; nothing waits for a slot.

    Attributes:
        used: how many are in it now.
    """

    def __init__(self, limit: int, doing: str) -> None:
        """Create free slots.

        Args:
            limit: how many tasks may be in the context.
            doing: what they do, for the operator, such as `being forwarded`.
        """
        self._limit = limit
        self._doing = doing
        self.used = 0

    def __enter__(self) -> None:
        """Take a slot.

        Raises:
            RelayOverloadedError: none is free.
        """
        if self.used >= self._limit:
            raise RelayOverloadedError(
                "Too many events are being received.",
                reason=f"{self._limit} events are {self._doing}",
                retry_after=1,
            )
        self.used += 1

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        """Free the slot."""
        self.used -= 1


class NewestFirst:
    """A limit on how many tasks are in a context: the one that entered first makes way."""

    def __init__(self, limit: int) -> None:
        """Create an empty context.

        Args:
            limit: how many tasks may be in the context.
        """
        self._limit = limit
        self._inside: dict[asyncio.Timeout, None] = {}

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Enter, and have the task that entered first leave if there are too many.

        Raises:
            RelayOverloadedError: this task had to leave.
        """
        if len(self._inside) >= self._limit:
            first = next(iter(self._inside))
            del self._inside[first]
            first.reschedule(asyncio.get_running_loop().time())
        timeout = asyncio.timeout(None)
        self._inside[timeout] = None
        try:
            async with timeout:
                yield
        except TimeoutError:
            raise RelayOverloadedError(
                "Too many events are being received.",
                reason=f"{self._limit} newer events are being received",
                retry_after=1,
            ) from None
        finally:
            self._inside.pop(timeout, None)
