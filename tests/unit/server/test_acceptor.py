"""Which connections are accepted, and when."""

import asyncio
import errno
import inspect
import socket
from collections.abc import Callable
from typing import Any, cast
from unittest.mock import Mock

import pytest
import uvloop
from structlog.testing import capture_logs

from app.server.acceptor import Acceptor
from tests.support.clock import ControlledLoop, controlled


class Accepted(list[asyncio.Transport]):
    """The accepted connections."""

    def protocol(self) -> asyncio.Protocol:
        """Return a protocol that records its connection."""
        accepted = self

        class Recording(asyncio.Protocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                accepted.append(cast("asyncio.Transport", transport))

        return Recording()


def unlimited() -> int:
    """Return a number of allowed connections that no test reaches."""
    return 10_000


def not_accepted(reason: str) -> dict[str, str]:
    """Return the log event with this reason."""
    return {"event": "connections_not_accepted", "reason": reason, "log_level": "error"}


def connect(address: tuple[str, int], number: int) -> list[socket.socket]:
    """Open connections, which wait in the backlog until they are accepted."""
    return [socket.create_connection(address) for _ in range(number)]


async def accepted_in_20_iterations(start: Callable[[socket.socket, Accepted], Any]) -> int:
    """Open 200 connections while the loop is busy; return how many it accepts in 20 iterations."""
    accepted = Accepted()
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    started = start(listener, accepted)
    server = await started if inspect.isawaitable(started) else started
    clients = connect(listener.getsockname(), 200)
    for _ in range(20):
        await asyncio.sleep(0)
    count = len(accepted)
    server.close()
    await server.wait_closed()
    for end in (*accepted, *clients):
        end.close()
    return count


def test_all_waiting_connections_are_accepted_in_a_few_iterations() -> None:
    """The acceptor does not need one iteration of the event loop for each connection."""
    count = uvloop.run(
        accepted_in_20_iterations(
            lambda listener, accepted: Acceptor(listener, accepted.protocol, unlimited, Mock())
        )
    )

    assert count == 200


def test_uvloop_accepts_one_connection_per_iteration() -> None:
    """This is the reason for the acceptor. If this test fails, the acceptor can be deleted."""

    async def start(listener: socket.socket, accepted: Accepted) -> asyncio.Server:
        return await asyncio.get_running_loop().create_server(
            accepted.protocol, sock=listener, backlog=512
        )

    assert uvloop.run(accepted_in_20_iterations(start)) < 200


def test_closing_accepts_only_the_waiting_connections() -> None:
    """Closing the socket would reset them; later connections are refused."""

    async def test() -> int:
        accepted = Accepted()
        listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
        address = listener.getsockname()
        acceptor = Acceptor(listener, accepted.protocol, unlimited, Mock())
        clients = connect(address, 600)
        acceptor.close()
        assert not accepted
        await acceptor.wait_closed()
        with pytest.raises(ConnectionRefusedError):
            connect(address, 1)
        for end in (*accepted, *clients):
            end.close()
        return len(accepted)

    assert uvloop.run(test()) == 600


class Exhausted(socket.socket):
    """A listening socket whose `accept` fails while `error` is set."""

    tries = 0
    error: int | None = errno.EMFILE

    def accept(self) -> tuple[socket.socket, Any]:
        """Accept a connection, or fail."""
        self.tries += 1
        if self.error is not None:
            raise OSError(self.error, "")
        return super().accept()


@controlled
async def test_without_file_descriptors_it_tries_again_a_second_later(loop: ControlledLoop) -> None:
    """It counts and logs the failure, and does not block requests that will free descriptors."""
    accepted, count = Accepted(), Mock()
    listener = Exhausted()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    [client] = connect(listener.getsockname(), 1)
    acceptor = Acceptor(listener, accepted.protocol, unlimited, count)
    with capture_logs() as logs:
        await loop.advance(0)
        await loop.advance(0.9)
        assert listener.tries == 1
        await loop.advance(0.2)
        assert listener.tries == 2
    listener.error = None
    await loop.advance(1.1)
    assert len(accepted) == 1
    listener.error = errno.ECONNABORTED
    with capture_logs() as later:
        acceptor.close()
    for end in (*accepted, client):
        end.close()
    await loop.advance(0)

    assert count.call_count == 2
    assert logs == [not_accepted("EMFILE")] * 2
    assert later == []


@controlled
async def test_it_can_be_closed_while_it_waits_for_file_descriptors(loop: ControlledLoop) -> None:
    """It does not try again after that; with a closed socket, this would be an error."""
    errors: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, error: errors.append(error))
    listener = Exhausted()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    [client] = connect(listener.getsockname(), 1)
    acceptor = Acceptor(listener, Accepted().protocol, unlimited, Mock())
    await loop.advance(0)
    acceptor.close()
    tries = listener.tries
    await loop.advance(5)
    client.close()

    assert listener.tries == tries
    assert errors == []


@controlled
async def test_it_accepts_no_more_connections_than_the_limit(loop: ControlledLoop) -> None:
    """The others wait, so that requests in progress have enough file descriptors."""
    accepted, count = Accepted(), Mock()
    listener = socket.create_server(("127.0.0.1", 0))
    clients = connect(listener.getsockname(), 5)
    with capture_logs() as logs:
        acceptor = Acceptor(listener, accepted.protocol, lambda: 3 - len(accepted), count)
        await loop.advance(0)
        await loop.advance(0)
        assert len(accepted) == 3
        accepted.pop().close()
        await loop.advance(1.1)
    assert len(accepted) == 3
    assert logs == [not_accepted("connection limit")] * 2
    assert count.call_count == 2
    acceptor.close()
    await acceptor.wait_closed()
    for end in (*accepted, *clients):
        end.close()
    await loop.advance(0)


@controlled
async def test_closing_accepts_no_more_connections_than_the_limit(loop: ControlledLoop) -> None:
    """Requests in progress need the remaining file descriptors."""
    accepted = Accepted()
    listener = socket.create_server(("127.0.0.1", 0))
    clients = connect(listener.getsockname(), 5)
    acceptor = Acceptor(listener, accepted.protocol, lambda: 3 - len(accepted), Mock())
    acceptor.close()
    await acceptor.wait_closed()
    for end in (*accepted, *clients):
        end.close()
    await loop.advance(0)

    assert len(accepted) == 3
