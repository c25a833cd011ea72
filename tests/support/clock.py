"""An event loop whose time the test controls."""

import asyncio
import functools
from collections.abc import Callable, Coroutine
from typing import Any


class ControlledLoop(asyncio.SelectorEventLoop):
    """An event loop whose time passes only when a test advances it."""

    now = 1000.0

    def time(self) -> float:
        """Return the loop's time in seconds."""
        return self.now

    async def advance(self, seconds: float) -> None:
        """Advance the time, and run everything that is due."""
        self.now += seconds
        for _ in range(5):
            await asyncio.sleep(0)


def controlled(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run a test on a `ControlledLoop`, its first argument; pytest passes the other arguments."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        loop = ControlledLoop()
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(test(loop, *args, **kwargs))

    # pytest reads the names of the fixtures from here, so the first argument must be bound.
    run.__wrapped__ = functools.partial(test, None)
    return run
