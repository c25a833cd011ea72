"""The API key of a Unify app, and its rotation without a restart."""

import asyncio
import errno
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import structlog
from pydantic import SecretStr

from ..errors import ConfigurationError
from ..settings.apideck import UnifyApp, valid_api_key

logger = structlog.get_logger(__name__)

_READ_SECONDS = 5.0


class ApiKey:
    """The secret API key of one Unify app; a key in a file is read again whenever it is refreshed.

    Attributes:
        current: the key to use now.
        previous: the key that was used before; None if there was none.
        fault: why the file cannot be used now; None if it can.
    """

    def __init__(
        self,
        name: str,
        app: UnifyApp,
        add_secret: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Read the key.

        Args:
            name: the operator's name for the Unify app.
            app: its settings.
            add_secret: is called with every key that is ever used, so that none can be logged.
            clock: seconds from any fixed point.

        Raises:
            ConfigurationError: there is no usable key.
        """
        self._name = name
        self._file = app.api_key_file
        self._add_secret = add_secret
        self._clock = clock
        self._reading: asyncio.Future[str] | None = None
        self.fault: str | None = None
        self.previous = read_previous_api_key(name, app)
        if self.previous is not None:
            add_secret(self.previous.get_secret_value())
        self._set(read_api_key(name, app))

    @property
    def age_seconds(self) -> float:
        """How long this process has used the key."""
        return self._clock() - self._since

    def accepted(self, previous_seconds: float) -> tuple[str, ...]:
        """Return the keys with which Apideck may have signed something: the current one first.

        Args:
            previous_seconds: how long after a change the key before is accepted.
        """
        current = self.current.get_secret_value()
        if self.previous is None or self.age_seconds >= previous_seconds:
            return (current,)
        return (current, self.previous.get_secret_value())

    async def refresh(self) -> None:
        """Read the file again; while it holds no usable key, the last one stays in use."""
        if self._file is None:
            return
        try:
            key = valid_api_key((await self._read(self._file)).strip())
        except (OSError, ValueError) as error:
            fault = _describe(error)
            if fault != self.fault:
                # Without the exception: its traceback might show the content of the file.
                logger.error("api_key_refused", application=self._name, fault=fault)  # noqa: TRY400
            self.fault = fault
            return
        self.fault = None
        if key != self.current.get_secret_value():
            self.previous = self.current
            self._set(SecretStr(key))
            logger.info("api_key_changed", application=self._name)

    async def _read(self, file: Path) -> str:
        """Return the content of a file, which may be on a volume that does not respond.

        Raises:
            OSError: it cannot be read, or not in time. A read that hangs is not started twice.
        """
        if self._reading is None:
            self._reading = _in_thread(lambda: _text(file))
        await asyncio.wait({self._reading}, timeout=_READ_SECONDS)
        if not self._reading.done():
            raise TimeoutError(errno.ETIMEDOUT, "does not respond")
        reading, self._reading = self._reading, None
        return reading.result()

    def _set(self, key: SecretStr) -> None:
        self._add_secret(key.get_secret_value())
        self.current = key
        self._since = self._clock()


def read_api_key(name: str, app: UnifyApp) -> SecretStr:
    """Return the API key from the settings, or from the file that they name.

    Raises:
        ConfigurationError: the file cannot be read, or does not hold a key.
    """
    # The settings hold exactly one of key and file.
    return app.api_key or _from_file(name, "API_KEY_FILE", app.api_key_file)


def read_previous_api_key(name: str, app: UnifyApp) -> SecretStr | None:
    """Return the API key that was in use before, if the settings name a file with it.

    Raises:
        ConfigurationError: the file cannot be read, or does not hold a key.
    """
    file = app.previous_api_key_file
    return None if file is None else _from_file(name, "PREVIOUS_API_KEY_FILE", file)


def _from_file(name: str, setting: str, file: Path | None) -> SecretStr:
    try:
        return SecretStr(valid_api_key(_text(file).strip()))
    except (OSError, ValueError) as error:
        table = "" if name == UnifyApp.DEFAULT else f"UNIFY_APPS__{name.upper()}__"
        raise ConfigurationError([f"APIDECK__{table}{setting}: {_describe(error)}"]) from None


def _text(path: Path | None) -> str:
    return "" if path is None else path.read_text(encoding="utf-8")


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

    def run() -> None:
        text, failed = "", None
        try:
            text = work()
        except (OSError, ValueError) as error:
            failed = error
        with suppress(RuntimeError):  # The loop is closed, so no task waits for the result.
            loop.call_soon_threadsafe(settle, text, failed)

    threading.Thread(target=run, name="api-key-file", daemon=True).start()
    return result


def _describe(error: OSError | ValueError) -> str:
    if isinstance(error, OSError):
        return error.strerror or "cannot be read"
    return "is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
