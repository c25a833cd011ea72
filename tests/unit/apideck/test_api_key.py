"""Which API keys a signature may have been made with."""

from pathlib import Path

import pytest

from app.apideck.api_key import ApiKey
from app.errors import ConfigurationError
from app.settings.apideck import ApideckSettings, UnifyApp
from tests.support.in_process import Clock

OLD, NEW, NEWER = "sk_live_old_key", "sk_live_new_key", "sk_live_newer_key"


class Files:
    """A key in a file, perhaps with the one before it, and a clock."""

    def __init__(self, folder: Path, previous: str | None = None) -> None:
        self.clock = Clock()
        self.secrets: list[str] = []
        self.file, before = folder / "key", folder / "previous"
        self.file.write_text(f"{OLD}\n")
        if previous is not None:
            before.write_text(previous)
        app = ApideckSettings(
            app_id="app",
            api_key_file=self.file,
            previous_api_key_file=None if previous is None else before,
        )
        self.key = ApiKey(UnifyApp.DEFAULT, app, self.secrets.append, self.clock)

    async def change_to(self, key: str) -> None:
        """Write a new key, and have it read."""
        self.file.write_text(key)
        await self.key.refresh()


async def test_the_key_before_is_accepted_for_a_while(tmp_path: Path) -> None:
    """It ends on the second, and the current key is first at all times."""
    files = Files(tmp_path)
    assert files.key.accepted(600) == (OLD,)

    await files.change_to(NEW)
    assert files.key.accepted(600) == (NEW, OLD)
    files.clock.now += 599
    await files.key.refresh()
    assert files.key.accepted(600) == (NEW, OLD)
    files.clock.now += 1
    assert files.key.accepted(600) == (NEW,)


async def test_a_leaked_key_is_never_accepted_after_its_change(tmp_path: Path) -> None:
    """With 0 seconds the key before is of no use at once."""
    files = Files(tmp_path)
    await files.change_to(NEW)
    assert files.key.accepted(0) == (NEW,)


async def test_only_one_key_before_is_accepted(tmp_path: Path) -> None:
    """After two changes the first key is of no use."""
    files = Files(tmp_path)
    await files.change_to(NEW)
    await files.change_to(NEWER)
    assert files.key.accepted(600) == (NEWER, NEW)


def test_a_key_before_the_start_is_accepted_from_its_file(tmp_path: Path) -> None:
    """It is accepted for as long after the start, and is redacted like every key."""
    files = Files(tmp_path, f"{NEW}\n")
    assert files.key.accepted(600) == (OLD, NEW)
    assert set(files.secrets) == {OLD, NEW}
    files.clock.now += 600
    assert files.key.accepted(600) == (OLD,)


def test_a_file_without_a_key_is_an_error_that_does_not_quote_it(tmp_path: Path) -> None:
    """The process does not start, and says which setting is wrong."""
    with pytest.raises(ConfigurationError) as error:
        Files(tmp_path, "two words that are no key")
    [fault] = error.value.faults
    assert fault.startswith("APIDECK__PREVIOUS_API_KEY_FILE: must be 8 to 512")
    assert "two words" not in fault
