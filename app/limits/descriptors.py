"""How many requests and connections fit into the limit on open files of a process."""

import resource
import sys
from dataclasses import dataclass
from typing import Final

import structlog

from ..settings import Settings

logger = structlog.get_logger(__name__)

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


def raise_open_files_limit() -> int:
    """Raise the limit on open files as far as this process may, and return it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return sys.maxsize if hard == resource.RLIM_INFINITY else hard


def fit_to_descriptors(settings: Settings, open_files_limit: int) -> tuple[Settings, int]:
    """Return settings that admit no more requests than there are file descriptors for.

    Returns:
        The settings, and how many connections of clients the process may have.
    """
    limits = settings.limits
    wanted = (limits.max_in_flight, limits.connections.max_in_flight)
    # Each event that is being forwarded has a connection to its target. With many targets, which
    # are hardly all slow at once, most descriptors are kept for callers.
    targets = settings.webhooks.max_in_flight * len(settings.webhooks.target_urls)
    forwarded = min(targets, open_files_limit // 4)
    budget = descriptor_budget(open_files_limit - forwarded, *wanted)
    if budget.in_flight != wanted:
        sessions, connections = budget.in_flight
        logger.warning(
            "max_in_flight_reduced",
            setting=limits.max_in_flight,
            effective=sessions,
            connections_setting=limits.connections.max_in_flight,
            connections_effective=connections,
            open_files_limit=open_files_limit,
        )
        reads = limits.connections.model_copy(update={"max_in_flight": connections})
        limits = limits.model_copy(update={"max_in_flight": sessions, "connections": reads})
        settings = settings.model_copy(update={"limits": limits})
    return settings, budget.connections
