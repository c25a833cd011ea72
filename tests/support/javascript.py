"""A Node.js process that computes the content that Apideck signs."""

import json
import shutil
import subprocess
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_SCRIPT = Path(__file__).parent / "sign_like_apideck.mjs"


def missing() -> str | None:
    """Return what is missing and how to install it, or None."""
    return None if shutil.which("node") else "needs Node.js: apt-get install nodejs"


class JavaScript:
    """One running process, for any number of bodies."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process

    def sorted_forms(self, body: bytes) -> list[bytes] | None:
        """Return the body with keys sorted outside arrays, and everywhere; None if not JSON."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(b64encode(body) + b"\n")
        self._process.stdin.flush()
        forms = json.loads(self._process.stdout.readline())
        return None if forms is None else [b64decode(form) for form in forms]


@contextmanager
def javascript() -> Iterator[JavaScript]:
    """Run the process."""
    command = [str(shutil.which("node")), str(_SCRIPT)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        yield JavaScript(process)
        # The end of the block closes stdin, which ends the script.
