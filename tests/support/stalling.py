"""The service with a startup that waits until a file exists.

Run as `python -m tests.support.stalling serve`; the environment variable MAY_START names the file.
"""

import asyncio
import os
import sys
import time
from pathlib import Path
from typing import Any

from app import lifespan
from app.__main__ import main

_open_limits = lifespan._open_limits


def _wait() -> None:
    while not Path(os.environ["MAY_START"]).exists():
        time.sleep(0.01)


async def _wait_and_open_limits(*args: Any) -> Any:
    await asyncio.to_thread(_wait)
    return await _open_limits(*args)


if __name__ == "__main__":
    lifespan._open_limits = _wait_and_open_limits  # type: ignore[assignment]
    sys.exit(main(sys.argv[1:]))
