"""Free ports for processes that need to know their port in advance."""

import errno
import itertools
import os
import socket
from contextlib import closing

# Below the ports that the system gives to outgoing connections (32768 and up on Linux), so that a
# port stays free between this check and its use.
_FIRST, _LAST = 20_000, 30_000
# Each worker of pytest-xdist has its own range; each run starts at a different port in it.
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_SPAN = (_LAST - _FIRST) // int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
_offsets = itertools.count(os.getpid() * 40 % _SPAN)


def is_free(port: int) -> bool:
    """Tell whether no process listens on a port."""
    with closing(socket.socket()) as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def has_ipv6() -> bool:
    """Tell whether this machine has an IPv6 address on loopback."""
    with closing(socket.socket(socket.AF_INET6)) as probe:
        return probe.connect_ex(("::1", 9)) != errno.EADDRNOTAVAIL


def free_ports(count: int = 1) -> int:
    """Return the first of `count` consecutive free ports, each of which is returned only once."""
    while True:
        ports = [_FIRST + _WORKER * _SPAN + next(_offsets) % _SPAN for _ in range(count)]
        if ports == list(range(ports[0], ports[0] + count)) and all(map(is_free, ports)):
            return ports[0]
