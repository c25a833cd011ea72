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
        in_flight: requests in flight. Each needs a connection of its client and one to Apideck.
        connections: connections of clients, with or without a request in flight.
    """

    in_flight: int
    connections: int


def descriptor_budget(open_files_limit: int, max_in_flight: int) -> DescriptorBudget:
    """Divide the file descriptors of a process between clients and Apideck.

    Running out of them would fail requests that were already admitted. So fewer are admitted.

    Args:
        open_files_limit: the limit on open files (RLIMIT_NOFILE).
        max_in_flight: the number of requests in flight that the operator allows.
    """
    available = max(2, open_files_limit - RESERVED)
    in_flight = min(max_in_flight, available // 2)
    return DescriptorBudget(in_flight, available - in_flight)
