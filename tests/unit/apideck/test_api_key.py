"""The API keys that are accepted for the signature of an event."""

from pathlib import Path

import pytest

from app.apideck.api_key import ApiKey
from app.errors import ConfigurationError
from app.settings.apideck import ApideckSettings, UnifyApp
from tests.support.in_process import Clock

OLD, NEW, NEWER = "sk_live_old_key", "sk_live_new_key", "sk_live_newer_key"


class KeyFiles:
    """A file with the API key, an optional file with the previous key, and a clock."""

    def __init__(self, folder: Path, previous: str | None = None) -> None:
        self.clock = Clock()
        self.secrets: list[str] = []
        self.file, previous_file = folder / "key", folder / "previous"
        self.file.write_text(f"{OLD}\n")
        if previous is not None:
            previous_file.write_text(previous)
        app = ApideckSettings(
            app_id="app",
            api_key_file=self.file,
            previous_api_key_file=None if previous is None else previous_file,
        )
        self.key = ApiKey(UnifyApp.DEFAULT, app, self.secrets.append, self.clock)

    async def change_to(self, key: str) -> None:
        """Write a new key, and read the file again."""
        self.file.write_text(key)
        await self.key.refresh()


async def test_the_previous_key_is_accepted_for_a_limited_time(tmp_path: Path) -> None:
    """The limit is exact to the second, and the current key always comes first."""
    files = KeyFiles(tmp_path)
    assert files.key.accepted(600) == (OLD,)

    await files.change_to(NEW)
    assert files.key.accepted(600) == (NEW, OLD)
    files.clock.now += 599
    await files.key.refresh()
    assert files.key.accepted(600) == (NEW, OLD)
    files.clock.now += 1
    assert files.key.accepted(600) == (NEW,)


async def test_a_leaked_key_is_never_accepted_after_its_change(tmp_path: Path) -> None:
    """With a limit of 0 seconds, the previous key is rejected immediately."""
    files = KeyFiles(tmp_path)
    await files.change_to(NEW)
    assert files.key.accepted(0) == (NEW,)


async def test_only_one_previous_key_is_accepted(tmp_path: Path) -> None:
    """After two changes, the first key is rejected."""
    files = KeyFiles(tmp_path)
    await files.change_to(NEW)
    await files.change_to(NEWER)
    assert files.key.accepted(600) == (NEWER, NEW)


def test_the_previous_key_can_be_read_from_a_file_at_startup(tmp_path: Path) -> None:
    """It is accepted for the same time after startup, and is redacted like every key."""
    files = KeyFiles(tmp_path, f"{NEW}\n")
    assert files.key.accepted(600) == (OLD, NEW)
    assert set(files.secrets) == {OLD, NEW}
    files.clock.now += 600
    assert files.key.accepted(600) == (OLD,)


def test_the_error_for_a_file_without_a_key_does_not_quote_the_file(tmp_path: Path) -> None:
    """The process does not start, and the error names the setting."""
    with pytest.raises(ConfigurationError) as error:
        KeyFiles(tmp_path, "two words that are no key")
    [fault] = error.value.faults
    assert fault.startswith("APIDECK__PREVIOUS_API_KEY_FILE: must be 8 to 512")
    assert "two words" not in fault
