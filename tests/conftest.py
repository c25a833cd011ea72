"""What every test can rely on."""

import os

import pytest

_OURS = ("APIDECK__", "IDENTITY__", "SESSION__", "SERVER__", "CORS__", "LOG__", "CONFIG_FILE")


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests may have a service configured in their shell."""
    for name in os.environ:
        if name.startswith(_OURS):
            monkeypatch.delenv(name)
