"""Command-line tools that are installed beside this Python."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def name(path: Path) -> str:
    """Return a path relative to the root of the repository, also as the id of a test."""
    return str(path.relative_to(ROOT))


def tool(name: str) -> Path:
    """Return the path of an installed tool."""
    return Path(sys.executable).parent / name


def run(*command: str | Path) -> "subprocess.CompletedProcess[str]":
    """Run a command at the root of the repository, and capture its output."""
    return subprocess.run(
        command, check=False, cwd=ROOT, capture_output=True, text=True, timeout=120
    )
