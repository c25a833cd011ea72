"""Command-line tools that are installed beside this Python, and programs."""

import os
import shutil
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


def program(name: str) -> str:
    """Return the path of a program of the system or of `make programs`; empty if there is none."""
    # A user's PATH has no folder for what only root runs.
    folders = (os.environ["PATH"], "/usr/sbin", str(ROOT / ".venv" / "programs" / "bin"))
    return shutil.which(name, path=os.pathsep.join(folders)) or ""


def run(*command: str | Path) -> "subprocess.CompletedProcess[str]":
    """Run a command at the root of the repository, and capture its output."""
    return subprocess.run(
        command, check=False, cwd=ROOT, capture_output=True, text=True, timeout=120
    )
