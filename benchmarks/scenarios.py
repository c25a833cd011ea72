"""The scenarios of `make bench`, and the contestants of each."""

from benchmarks.contestants import (
    CAREFUL_FASTAPI,
    CAREFUL_FASTIFY,
    COLD,
    EVENTS,
    LISTS,
    MINIMAL,
    NO_WORK,
    NODE_SDK,
    OURS,
    SDK_PER_REQUEST,
    SDK_SHARED,
    Contestant,
)
from benchmarks.load import Scenario
from benchmarks.operations import EVENT, LIST

SAME_WORK = [COLD, OURS, CAREFUL_FASTAPI, CAREFUL_FASTIFY]
"""The service, and the peers that verify tokens, limit callers, write logs and count requests."""
SCENARIOS: dict[str, tuple[Scenario, list[Contestant]]] = {
    "a-1": (Scenario(0.0, 1, 3), [COLD, MINIMAL, NODE_SDK, SDK_SHARED, SDK_PER_REQUEST]),
    "a-64": (Scenario(0.0, 64, 4), [*SAME_WORK, *NO_WORK]),
    "b-1000": (Scenario(0.3, 1000, 8), [*SAME_WORK, *NO_WORK]),
    "b-4000": (Scenario(0.3, 4000, 8), [COLD, CAREFUL_FASTAPI, CAREFUL_FASTIFY, MINIMAL]),
}
FURTHER = {
    "e-list": (Scenario(0.0, 16, 8, LIST), [LISTS]),
    "e-event": (Scenario(0.0, 64, 8, EVENT), [EVENTS]),
}
"""Scenarios for operations that only the service has."""
OVERLOAD = {
    "g-capacity": Scenario(0.0, 1000, 16),
    "g-three-times": Scenario(0.0, 3000, 16),
    # Accepting 8,000 connections takes seconds, so a short measurement would show little else.
    "g-overload": Scenario(0.0, 8000, 45),
    "g-beyond": Scenario(0.0, 12_000, 16),
}
ARRIVALS = {"g-arrivals": 3.0, "g-after": 0.5}
"""Arrivals a second as a share of the service's throughput in g-capacity: too many, then fewer."""
ARRIVALS_SECONDS = 10.0
PAUSE_SECONDS = 3.0
"""The pause between the two."""
BUSY = Scenario(0.0, 8000, 16)
"""The load while probes are timed."""
TWO_PROCESSES = Scenario(0.0, 64, 6)
"""The load for each of the two processes."""
TWO_WORKERS = Scenario(0.0, 128, 6)
PACED = Scenario(0.15, 0, 6)
PACED_SHARE = 0.5
"""Arrivals a second as a share of each contestant's throughput in a-64."""
PACED_CONTESTANTS = [COLD, CAREFUL_FASTAPI, CAREFUL_FASTIFY, MINIMAL, NODE_SDK]
QUICK = ("a-64", "b-1000")
"""The scenarios of a quick run, which has only one of the peers that do none of the work."""
