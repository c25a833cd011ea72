"""HTTP spoken by hand, byte for byte: what no client library would send."""

import socket
import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Answered:
    """What came back before the connection was closed, or nothing more came.

    Attributes:
        data: every byte.
        closed: whether the other end closed the connection.
    """

    data: bytes
    closed: bool

    @property
    def statuses(self) -> list[int]:
        """The status of each answer."""
        parts = self.data.split(b"HTTP/1.1 ")[1:]
        return [int(part[:3]) for part in parts]


def connect(port: int, timeout: float = 5.0) -> socket.socket:
    """Open a connection to a port on loopback."""
    return socket.create_connection(("127.0.0.1", port), timeout=timeout)


def received(connection: socket.socket, quiet_seconds: float = 0.3) -> Answered:
    """Return what comes until the other end closes, or is quiet for so long after an answer."""
    data = b""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        connection.settimeout(quiet_seconds if data else deadline - time.monotonic())
        try:
            part = connection.recv(65536)
        except TimeoutError:
            return Answered(data, closed=False)
        except ConnectionError:
            return Answered(data, closed=True)
        if not part:
            return Answered(data, closed=True)
        data += part
    return Answered(data, closed=False)


def exchange(port: int, request: bytes) -> Answered:
    """Send these bytes and return what comes back."""
    with connect(port) as connection:
        try:
            connection.sendall(request)
        except ConnectionError:
            return Answered(b"", closed=True)
        return received(connection)
