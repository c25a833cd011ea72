"""Builds the store that the settings describe."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ..common.secret_file import SecretFile, describe
from ..settings import LimitSettings
from ..settings.limits import MEMORY, valid_password
from .guarded import GuardedStore, Store
from .memory import MemoryStore
from .models import StoreFailedError

if TYPE_CHECKING:
    from ..common.redis_client import Passwords


def build_store(settings: LimitSettings, add_secret: Callable[[str], None]) -> Store:
    """Build the store that the settings describe; nothing is connected yet.

    Args:
        settings: the store, and files with its passwords.
        add_secret: is called with everything that must not be logged.
    """
    text = settings.store.get_secret_value()
    if text == MEMORY:
        return MemoryStore()
    # Here, because a service that counts in memory should not wait for the import.
    from ..common.redis_url import RedisUrl  # noqa: PLC0415
    from .redis import RedisStore  # noqa: PLC0415

    url = RedisUrl.parse(text)
    for secret in url.secrets:
        add_secret(secret)
    passwords = _PasswordFiles(settings, add_secret)
    shared = RedisStore(url, settings.store_prefix, passwords.read)
    return GuardedStore(shared, url.address, settings.store_timeout_seconds)


class _PasswordFiles:
    """The files with passwords; a new password is used from the next connection on."""

    def __init__(self, settings: LimitSettings, add_secret: Callable[[str], None]) -> None:
        self._store = _file(settings.store_password_file)
        self._sentinel = _file(settings.store_sentinel_password_file)
        self._add_secret = add_secret

    async def read(self) -> "Passwords":
        """Read the files.

        Raises:
            StoreFailedError: a file contains no usable password.
        """
        from ..common.redis_client import Passwords  # noqa: PLC0415

        return Passwords(
            store=await self._password(self._store, "LIMITS__STORE_PASSWORD_FILE"),
            sentinel=await self._password(self._sentinel, "LIMITS__STORE_SENTINEL_PASSWORD_FILE"),
        )

    async def _password(self, file: SecretFile | None, setting: str) -> str | None:
        if file is None:
            return None
        try:
            password = valid_password(await file.read())
        except (OSError, ValueError) as error:
            raise StoreFailedError(f"{setting}: {describe(error)}") from None
        self._add_secret(password)
        return password


def _file(path: Path | None) -> SecretFile | None:
    return None if path is None else SecretFile(path)
