"""The client module for frontends, tested by Node's own test runner."""

import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node.js: apt-get install nodejs")
def test_the_client_module_holds_what_its_own_tests_say() -> None:
    """Every test beside this file passes, against a real server of its own."""
    files = sorted(str(path) for path in HERE.glob("*.test.mjs"))

    ended = subprocess.run(
        ["node", "--test", *files],  # noqa: S607 - whichever node the machine has
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert ended.returncode == 0, ended.stdout
