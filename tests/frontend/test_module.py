"""The npm package for frontends, tested with Node's test runner."""

import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node.js: apt-get install nodejs")
def test_the_javascript_tests_pass() -> None:
    """Every `*.test.mjs` in this folder passes."""
    files = sorted(str(path) for path in HERE.glob("*.test.mjs"))

    ended = subprocess.run(
        ["node", "--test", *files],  # noqa: S607 - the node of the machine
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert ended.returncode == 0, ended.stdout
