"""The API key: where it comes from, and how a new one takes its place without a restart."""

import asyncio
import errno
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import structlog
from pydantic import SecretStr

from app.errors import ConfigurationError
from app.settings.apideck import UnifyApp, valid_api_key

logger = structlog.get_logger(__name__)

_PATIENCE_SECONDS = 5.0


class ApiKey:
    """The secret API key of one Unify app; one from a file is as new as the file.

    Attributes:
        current: the key to use now.
        fault: why the file cannot be followed just now; None while it can.
    """

    def __init__(
        self,
        name: str,
        app: UnifyApp,
        learn: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Read the key.

        Args:
            name: the operator's name for the application.
            app: where the key comes from.
            learn: is told every key that is ever used, so that none can be logged.
            clock: seconds from any fixed point.

        Raises:
            ConfigurationError: when there is no usable key.
        """
        self._name = name
        self._file = app.api_key_file
        self._learn = learn
        self._clock = clock
        self._reading: asyncio.Future[str] | None = None
        self.fault: str | None = None
        self._take(read_api_key(name, app))

    @property
    def age_seconds(self) -> float:
        """How long this key has been in use by this process."""
        return self._clock() - self._since

    async def refresh(self) -> None:
        """Take what the file holds now; while that can be no key, the last one stays in use."""
        if self._file is None:
            return
        try:
            key = valid_api_key((await self._read(self._file)).strip())
        except (OSError, ValueError) as error:
            fault = _fault(error)
            if fault != self.fault:
                # Not the exception: its traceback could show what is in the file.
                logger.error("api_key_refused", application=self._name, fault=fault)  # noqa: TRY400
            self.fault = fault
            return
        self.fault = None
        if key != self.current.get_secret_value():
            self._take(SecretStr(key))
            logger.info("api_key_changed", application=self._name)

    async def _read(self, file: Path) -> str:
        """Return what a file holds; it may be on a volume that does not answer.

        Raises:
            OSError: it cannot be read, or not yet. Nobody begins anew before it was.
        """
        if self._reading is None:
            self._reading = _in_a_thread(lambda: _text(file))
        await asyncio.wait({self._reading}, timeout=_PATIENCE_SECONDS)
        if not self._reading.done():
            raise TimeoutError(errno.ETIMEDOUT, "does not answer")
        reading, self._reading = self._reading, None
        return reading.result()

    def _take(self, key: SecretStr) -> None:
        self._learn(key.get_secret_value())
        self.current = key
        self._since = self._clock()


def read_api_key(name: str, app: UnifyApp) -> SecretStr:
    """Return the API key from the settings, or from the file that they name.

    Raises:
        ConfigurationError: when the file cannot be read, or what it holds cannot be a key.
    """
    if app.api_key is not None:
        return app.api_key
    try:
        return SecretStr(valid_api_key(_text(app.api_key_file).strip()))
    except (OSError, ValueError) as error:
        place = "" if name == UnifyApp.DEFAULT else f"APPLICATIONS__{name.upper()}__"
        raise ConfigurationError([f"APIDECK__{place}API_KEY_FILE: {_fault(error)}"]) from None


def _text(path: Path | None) -> str:
    # The settings hold exactly one of key and file, so there is one here.
    return "" if path is None else path.read_text(encoding="utf-8")


def _in_a_thread(work: Callable[[], str]) -> asyncio.Future[str]:
    """Do work in a thread of its own, whose end nobody waits for when the process ends."""
    loop = asyncio.get_running_loop()
    result: asyncio.Future[str] = loop.create_future()

    def settle(text: str, error: Exception | None) -> None:
        if result.cancelled():
            return
        if error is None:
            result.set_result(text)
        else:
            result.set_exception(error)

    def run() -> None:
        text, failed = "", None
        try:
            text = work()
        except (OSError, ValueError) as error:
            failed = error
        with suppress(RuntimeError):  # The loop is closed: nobody wants it any more.
            loop.call_soon_threadsafe(settle, text, failed)

    threading.Thread(target=run, daemon=True).start()
    return result


def _fault(error: OSError | ValueError) -> str:
    if isinstance(error, OSError):
        return error.strerror or "cannot be read"
    return "is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
