"""Command-line tools of this virtual environment, and programs of the system."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def name(path: Path) -> str:
    """Return a path relative to the root of the repository, for example as the id of a test."""
    return str(path.relative_to(ROOT))


def tool(name: str) -> Path:
    """Return the path of a tool in this virtual environment."""
    return Path(sys.executable).parent / name


def program(name: str) -> str:
    """Return the path of a program of the system or of `make programs`; empty if there is none."""
    # The PATH of a normal user does not contain /usr/sbin.
    folders = (os.environ["PATH"], "/usr/sbin", str(ROOT / ".venv" / "programs" / "bin"))
    return shutil.which(name, path=os.pathsep.join(folders)) or ""


def run(*command: str | Path) -> "subprocess.CompletedProcess[str]":
    """Run a command at the root of the repository, and capture its output."""
    return subprocess.run(
        command, check=False, cwd=ROOT, capture_output=True, text=True, timeout=120
    )
