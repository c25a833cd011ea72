"""The HTTP protocol with access to its connections, for faults below HTTP."""

import asyncio
import socket
import struct
from collections.abc import MutableMapping
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from emulators.apideck.state import State

Transports = MutableMapping[tuple[str, int], asyncio.Transport]


def protocol_with(state: State, transports: Transports) -> type[asyncio.Protocol]:
    """Return a protocol that stores its connections in `transports`, by client address."""

    class ReachableProtocol(H11Protocol):
        """An HTTP/1.1 connection that faults can break."""

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            """Store the connection, or close it immediately if a fault requires that."""
            if state.refuse_next_connection():
                transport.abort()
            super().connection_made(transport)
            if self.client is not None:
                transports[self.client] = transport

        def connection_lost(self, exc: Exception | None) -> None:
            """Remove the connection."""
            if self.client is not None:
                transports.pop(self.client, None)
            super().connection_lost(exc)

    return ReachableProtocol


def reset(transport: asyncio.Transport) -> None:
    """End a connection with a TCP reset, as a crashing host does."""
    connection: Any = transport.get_extra_info("socket")
    # With a linger time of zero, closing sends a reset (SO_LINGER in socket(7)).
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
