"""The API key of a Unify app, and its rotation without a restart."""

import time
from collections.abc import Callable
from pathlib import Path

import structlog
from pydantic import SecretStr

from ..common.secret_file import SecretFile, describe
from ..errors import ConfigurationError
from ..settings.apideck import UnifyApp, valid_api_key

logger = structlog.get_logger(__name__)


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
        self._file = None if app.api_key_file is None else SecretFile(app.api_key_file)
        self._add_secret = add_secret
        self._clock = clock
        self.fault: str | None = None
        previous = app.previous_api_key_file
        self.previous = None if previous is None else _read(name, "PREVIOUS_API_KEY_FILE", previous)
        if self.previous is not None:
            add_secret(self.previous.get_secret_value())
        # The settings hold exactly one of key and file.
        self._set(app.api_key or _read(name, "API_KEY_FILE", app.api_key_file or Path()))

    @property
    def age_seconds(self) -> float:
        """How long this process has used the key."""
        return self._clock() - self._since

    def accepted(self, previous_seconds: float) -> tuple[str, ...]:
        """Return the keys with which Apideck may have signed something: the current one first.

        Args:
            previous_seconds: how long after a change the previous key is accepted.
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
            key = valid_api_key(await self._file.read())
        except (OSError, ValueError) as error:
            fault = describe(error)
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

    def _set(self, key: SecretStr) -> None:
        self._add_secret(key.get_secret_value())
        self.current = key
        self._since = self._clock()


def _read(name: str, setting: str, file: Path) -> SecretStr:
    try:
        return SecretStr(valid_api_key(SecretFile(file).read_now()))
    except (OSError, ValueError) as error:
        table = "" if name == UnifyApp.DEFAULT else f"UNIFY_APPS__{name.upper()}__"
        raise ConfigurationError([f"APIDECK__{table}{setting}: {describe(error)}"]) from None
