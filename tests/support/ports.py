"""Free ports for processes that have to be told theirs."""

import itertools
import os
import socket
from contextlib import closing

# Below the ports that the system gives to connections by itself (32768 and up on Linux), so that
# none is taken between being found free and being used; each test run begins somewhere else.
_FIRST, _LAST = 20_000, 30_000
_offsets = itertools.count(os.getpid() * 40 % (_LAST - _FIRST))


def is_free(port: int) -> bool:
    """Tell whether nothing listens on a port."""
    with closing(socket.socket()) as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def free_ports(count: int = 1) -> int:
    """Return the first of so many free ports in a row, none of which was given out before."""
    while True:
        row = [_FIRST + next(_offsets) % (_LAST - _FIRST) for _ in range(count)]
        if row == list(range(row[0], row[0] + count)) and all(map(is_free, row)):
            return row[0]
