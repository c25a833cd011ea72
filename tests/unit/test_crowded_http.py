"""Who is accepted, and when; the rest of it is in tests/resilience/test_crowd.py."""

import asyncio
import socket
from typing import cast

import uvloop

from app.crowded_http import Acceptor


def test_all_who_have_come_are_accepted_in_one_turn_of_the_loop() -> None:
    """Two hundred that came while the loop was busy do not wait for two hundred turns."""

    async def accepted(*, all_at_once: bool) -> tuple[int, int]:
        loop = asyncio.get_running_loop()
        made: list[asyncio.Transport] = []

        class Counting(asyncio.Protocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                made.append(cast("asyncio.Transport", transport))

        server = await loop.create_server(Counting, "127.0.0.1", 0, backlog=512)
        address = server.sockets[0].getsockname()
        acceptor = Acceptor(server.sockets[0].fileno(), Counting) if all_at_once else None
        clients = [socket.create_connection(address) for _ in range(200)]
        for _ in range(20):
            await asyncio.sleep(0)
        soon = len(made)
        if acceptor:
            acceptor.close()
        with socket.create_connection(address):
            async with asyncio.timeout(20):
                while len(made) < 201:  # noqa: ASYNC110 - the loop itself makes them
                    await asyncio.sleep(0)
        for transport in made:
            transport.abort()
        for client in clients:
            client.close()
        server.close()
        await server.wait_closed()
        return soon, len(made)

    assert uvloop.run(accepted(all_at_once=True)) == (200, 201)
    # What it is there for: the day that this fails, uvloop does it by itself.
    assert uvloop.run(accepted(all_at_once=False))[0] < 200


def test_an_acceptor_that_is_closed_takes_nobody() -> None:
    """What comes after it is left to whoever else listens; here nobody does."""

    async def refused() -> bool:
        listening = socket.create_server(("127.0.0.1", 0))
        with listening:
            listening.settimeout(0)
            acceptor = Acceptor(listening.fileno(), asyncio.Protocol)
            acceptor.close()
            with socket.create_connection(listening.getsockname()):
                await asyncio.sleep(0.01)
                connection, _ = listening.accept()
                connection.close()
        return True

    assert uvloop.run(refused())


def test_who_was_taken_has_a_connection_once_an_acceptor_is_closed() -> None:
    """Or whoever ends the connections after that would not know of them."""

    async def made() -> int:
        connections: list[asyncio.BaseTransport] = []

        class Counting(asyncio.Protocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                connections.append(transport)

        listening = socket.create_server(("127.0.0.1", 0))
        with listening:
            acceptor = Acceptor(listening.fileno(), Counting)
            clients = [socket.create_connection(listening.getsockname()) for _ in range(50)]
            acceptor.close()
            assert not connections
            await acceptor.wait_closed()
        for client in clients:
            client.close()
        for connection in connections:
            connection.close()
        return len(connections)

    assert uvloop.run(made()) == 50
