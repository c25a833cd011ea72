"""The service that stops at the moment it begins to close, as if it got no time just then.

Run as `python -m tests.support.stopping serve`; SIGCONT has it go on.
"""

import signal
import socket
import sys

from app.__main__ import _Server, main

_shutdown = _Server.shutdown


async def _stop_and_shut_down(server: _Server, sockets: list[socket.socket] | None = None) -> None:
    signal.raise_signal(signal.SIGSTOP)
    await _shutdown(server, sockets)


if __name__ == "__main__":
    _Server.shutdown = _stop_and_shut_down  # type: ignore[assignment,method-assign]
    sys.exit(main(sys.argv[1:]))
