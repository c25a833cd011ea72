"""A file that contains a secret, and is read again while the service runs."""

import asyncio
import errno
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

_READ_SECONDS: Final = 5.0


class SecretFile:
    """A file that is read repeatedly, and may be on a volume that does not respond."""

    def __init__(self, path: Path) -> None:
        """Create it; nothing is read yet."""
        self._path = path
        self._reading: asyncio.Future[str] | None = None

    def read_now(self) -> str:
        """Return the content without the whitespace around it; this can block.

        Raises:
            OSError: it cannot be read.
            UnicodeDecodeError: it is not UTF-8.
        """
        return self._path.read_text(encoding="utf-8").strip()

    async def read(self) -> str:
        """Return the content without the whitespace around it.

        Raises:
            OSError: it cannot be read, or not within five seconds. A read that hangs is not started
                twice.
            UnicodeDecodeError: it is not UTF-8.
        """
        if self._reading is None or self._reading.done():
            self._reading = _in_thread(self.read_now)
        reading = self._reading
        await asyncio.wait({reading}, timeout=_READ_SECONDS)
        if not reading.done():
            raise TimeoutError(errno.ETIMEDOUT, "does not respond")
        return reading.result()


def describe(error: OSError | ValueError) -> str:
    """Return why a secret in a file cannot be used, without its path or its content."""
    if isinstance(error, OSError):
        return error.strerror or "cannot be read"
    return "is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)


def _in_thread(work: Callable[[], str]) -> asyncio.Future[str]:
    """Run `work` in a daemon thread, which does not delay the end of the process."""
    loop = asyncio.get_running_loop()
    result: asyncio.Future[str] = loop.create_future()

    def settle(text: str, error: Exception | None) -> None:
        if result.cancelled():
            return
        if error is None:
            result.set_result(text)
        else:
            result.set_exception(error)
            result.exception()  # Or asyncio would log it if no task waits any more.

    def run() -> None:
        text, failed = "", None
        try:
            text = work()
        except (OSError, ValueError) as error:
            failed = error
        with suppress(RuntimeError):  # The loop is closed, so no task waits for the result.
            loop.call_soon_threadsafe(settle, text, failed)

    threading.Thread(target=run, name="secret-file", daemon=True).start()
    return result
