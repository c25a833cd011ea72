"""How many requests and connections fit into the limit on open files of a process."""

from dataclasses import dataclass
from typing import Final

RESERVED: Final = 32
"""File descriptors for everything but requests: some twenty of a process at rest (standard streams,
event loop, listening sockets), the rate limit store, issuers' keys, DNS, files with secrets."""


@dataclass(frozen=True, slots=True)
class DescriptorBudget:
    """The largest numbers that leave a file descriptor for everything that an open request needs.

    Attributes:
        in_flight: requests in flight of each kind. Each needs a connection of its client and one to
            Apideck.
        connections: connections of clients, with or without a request in flight.
    """

    in_flight: tuple[int, ...]
    connections: int


def descriptor_budget(open_files_limit: int, *max_in_flight: int) -> DescriptorBudget:
    """Divide the file descriptors of a process between clients and Apideck.

    Running out of them would fail requests that were already admitted. So fewer are admitted, of
    each kind in proportion, so that requests of one kind leave enough for those of another.

    Args:
        open_files_limit: the limit on open files (RLIMIT_NOFILE).
        max_in_flight: the number of requests in flight that the operator allows, of each kind.
    """
    available = max(2, open_files_limit - RESERVED)
    allowed = sum(max_in_flight)
    admitted = min(allowed, available // 2)
    in_flight = tuple(max(1, admitted * one // allowed) for one in max_in_flight)
    return DescriptorBudget(in_flight, max(1, available - sum(in_flight)))
