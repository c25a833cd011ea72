"""The service, whose start takes until a file exists.

Run as `python -m tests.support.stalling serve`; the environment variable MAY_START names the file.
"""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

from app import lifespan
from app.__main__ import main
from tests.support.process import until

_open_limits = lifespan._open_limits


async def _stall_and_open_limits(*args: Any) -> Any:
    await asyncio.to_thread(until, Path(os.environ["MAY_START"]).exists)
    return await _open_limits(*args)


if __name__ == "__main__":
    lifespan._open_limits = _stall_and_open_limits  # type: ignore[assignment]
    sys.exit(main(sys.argv[1:]))
