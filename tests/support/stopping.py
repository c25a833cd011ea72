"""The service, paused by SIGSTOP when it begins to shut down, as if the machine had no free CPU.

Run as `python -m tests.support.stopping serve`; SIGCONT resumes it.
"""

import signal
import socket
import sys

from app.__main__ import main
from app.server.server import Server

_shutdown = Server.shutdown


async def _stop_and_shut_down(server: Server, sockets: list[socket.socket] | None = None) -> None:
    signal.raise_signal(signal.SIGSTOP)
    await _shutdown(server, sockets)


if __name__ == "__main__":
    Server.shutdown = _stop_and_shut_down  # type: ignore[assignment,method-assign]
    sys.exit(main(sys.argv[1:]))
