"""An event loop whose time the test controls."""

import asyncio
import functools
from collections.abc import Callable, Coroutine
from typing import Any


class ControlledLoop(asyncio.SelectorEventLoop):
    """A loop whose time passes only when a test says so."""

    now = 1000.0

    def time(self) -> float:
        """Return the loop's time in seconds."""
        return self.now

    async def advance(self, seconds: float) -> None:
        """Let time pass, and run everything that is due."""
        self.now += seconds
        for _ in range(5):
            await asyncio.sleep(0)


def controlled(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run a test on such a loop, which is its first argument; pytest gives it the others."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        loop = ControlledLoop()
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(test(loop, *args, **kwargs))

    others = functools.partial(test, None)
    run.__wrapped__ = others
    return run
