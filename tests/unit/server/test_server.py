"""How servers start, and how startup fails."""

import asyncio
import socket
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import Mock

import pytest
import uvicorn
from uvicorn.config import STARTUP_FAILURE

from app.server.listener import bind
from app.server.server import InternalServer, Server
from app.state import Shutdown


async def app(_scope: Any, _receive: Any, _send: Any) -> None:
    """Do nothing."""


def config() -> uvicorn.Config:
    """Return the configuration of a server without a lifespan, on any port."""
    return uvicorn.Config(app, host="127.0.0.1", port=0, lifespan="off", log_config=None)


def public_server() -> Server:
    """Return a server for callers."""
    return Server(
        config(),
        shutdown=Shutdown(),
        delay_seconds=0,
        max_connections=1,
        count_not_accepted=Mock(),
    )


def internal_server() -> InternalServer:
    """Return a server for probes."""
    return InternalServer(config())


@pytest.fixture
def _another_process_listens(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Listen on each port with another socket as soon as a server has bound the port."""
    others: list[socket.socket] = []

    def bound(host: str, port: int) -> socket.socket:
        first = bind(host, port)
        others.append(bind(*first.getsockname()))
        others[-1].listen()
        return first

    monkeypatch.setattr("app.server.server.bind", bound)
    yield
    for other in others:
        other.close()


@pytest.mark.usefixtures("_another_process_listens")
@pytest.mark.parametrize("create", [public_server, internal_server])
async def test_a_server_ends_if_another_process_listens_on_its_port(
    create: Callable[[], uvicorn.Server],
) -> None:
    """The server could bind the port, because the other process was not listening yet."""
    with pytest.raises(SystemExit) as ended:
        await create().serve()

    assert ended.value.code == STARTUP_FAILURE


async def test_a_failed_start_of_the_internal_server_is_raised(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The caller does not wait for a port that never opens."""
    monkeypatch.setattr("app.server.server.bind", Mock(side_effect=RuntimeError("no port")))
    entered = False

    async with asyncio.timeout(20):
        with pytest.raises(RuntimeError, match="no port"):
            async with internal_server().running():
                entered = True

    assert not entered
