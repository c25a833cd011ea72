"""The requests, sessions and consumers that the emulator has recorded."""

import json
import threading
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from emulators.apideck.connected import PLANTED, Connected
from emulators.apideck.faults import Broken, Fault


@dataclass(frozen=True, slots=True)
class SeenRequest:
    """A received request; header names are in lower case."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    query: str = ""

    @property
    def json(self) -> Any:
        """The body as JSON, or None if it is empty."""
        return json.loads(self.body) if self.body else None

    def header(self, name: str) -> str | None:
        """Return a header, or None."""
        return next((value for key, value in self.headers if key == name), None)


@dataclass(frozen=True, slots=True)
class MintedSession:
    """A created session; its times are in seconds since 1970."""

    token: str
    consumer_id: str
    app_id: str
    session: dict[str, Any]
    issued_at: int
    expires_at: int


@dataclass(slots=True)
class Consumer:
    """A consumer, created by its first session.

    Attributes:
        metadata: the consumer's metadata, merged from all sessions.
        connections: the consumer's connections, by (unified API, service).
        events: the log of the Vault's pages, as (service, text).
    """

    metadata: dict[str, Any] = field(default_factory=dict)
    connections: dict[tuple[str, str], Connected] = field(default_factory=dict)
    events: list[tuple[str, str]] = field(default_factory=list)

    def connected(self, api: str, service: str) -> Connected | None:
        """Return a connection that is usable or disabled; None for any other."""
        found = self.connections.get((api, service))
        return found if found is not None and found.state == "callable" else None

    def change(self, api: str, service: str, action: str) -> None:
        """Perform an action of the Vault's pages."""
        if action == "delete":
            self.connections.pop((api, service), None)
        else:
            self.connections.setdefault((api, service), Connected()).change(action)


class State:
    """The state of the emulator, safe for use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        """Remove everything."""
        with self._lock:
            self.requests: list[SeenRequest] = []
            self.minted: list[MintedSession] = []
            self.consumers: dict[tuple[str, str], Consumer] = {}
            self.registered_redirects: frozenset[str] | None = None
            self.disconnects = 0
            self.connections = 0
            self.refuses_connections = False
            self._refusals = 0
            self._faults: deque[Fault] = deque()
            self._lasting: Fault | None = None
            self._connections_fault: Fault | None = None
            self.planted = PLANTED

    def consumer(self, app_id: str, consumer_id: str) -> Consumer:
        """Return a consumer, and create it if necessary."""
        with self._lock:
            return self.consumers.setdefault((app_id, consumer_id), Consumer())

    def fail(self, fault: Fault, times: int | None = 1) -> None:
        """Make the next requests fail; with `times=None` until a reset."""
        with self._lock:
            if fault == Broken("accept"):
                # This fault affects connections, not requests.
                self.refuses_connections = times is None
                self._refusals += times or 0
            elif times is None:
                self._lasting = fault
            else:
                self._faults.extend([fault] * times)

    def known_consumer(self, app_id: str, consumer_id: str) -> Consumer | None:
        """Return a consumer; None for one that has never had a session."""
        with self._lock:
            return self.consumers.get((app_id, consumer_id))

    def fail_connections(self, fault: Fault | None) -> None:
        """Make requests for connections fail until a reset, and those for sessions succeed."""
        self._connections_fault = fault

    def connections_fault(self) -> Fault | None:
        """Return the fault of a request for connections, or None."""
        return self._connections_fault

    def next_fault(self) -> Fault | None:
        """Return the fault of the current request, or None."""
        with self._lock:
            return self._faults.popleft() if self._faults else self._lasting

    def refuse_next_connection(self) -> bool:
        """Tell whether to close the connection that has just been accepted."""
        with self._lock:
            self.connections += 1
            counted = self._refusals > 0
            self._refusals -= counted
            return counted or self.refuses_connections
