"""The channel between the supervisor and a worker."""

import asyncio
import signal
import socket
from collections.abc import AsyncIterator, Iterator

import pytest
from structlog.testing import capture_logs

from app.server.channel import WorkerChannel, respond

pytestmark = pytest.mark.usefixtures("terminated")


@pytest.fixture
def terminated() -> Iterator[list[int]]:
    """Return a list of the SIGTERM signals that this process receives."""
    received: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: received.append(number))
    yield received
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
async def ends() -> AsyncIterator[tuple[WorkerChannel, socket.socket]]:
    """Return the supervisor's end of a channel, and the worker's."""
    own, other = socket.socketpair()
    with other:
        channel = await WorkerChannel.over(own)
        yield channel, other
        await channel.close()


async def test_reports_are_received(ends: tuple[WorkerChannel, socket.socket]) -> None:
    """This includes several reports at once, and a report that is larger than a buffer."""
    channel, end = ends
    large = ["x" * 1000] * 1000
    responding = asyncio.create_task(respond(end, {"alive": lambda: True, "large": lambda: large}))

    reports = await asyncio.gather(channel.request("large"), channel.request("alive"))
    assert list(reports) == [large, True]
    responding.cancel()
    await asyncio.gather(responding, return_exceptions=True)


async def test_a_late_response_is_not_used_for_another_request(
    ends: tuple[WorkerChannel, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker responds to a request that timed out when it is no longer busy."""
    channel, end = ends
    monkeypatch.setattr("app.server.channel._SECONDS", 0.01)
    with pytest.raises(TimeoutError):
        await channel.request("late")
    monkeypatch.undo()
    reports = {"late": lambda: "late", "alive": lambda: "in time"}
    responding = asyncio.create_task(respond(end, reports))

    assert await channel.request("alive") == "in time"
    responding.cancel()
    await asyncio.gather(responding, return_exceptions=True)


async def test_a_report_that_fails_does_not_end_the_worker(
    ends: tuple[WorkerChannel, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The request times out, the next request succeeds, and the error is logged."""
    channel, end = ends
    reports = {"metrics": lambda: int("a bug"), "alive": lambda: True}
    responding = asyncio.create_task(respond(end, reports))
    monkeypatch.setattr("app.server.channel._SECONDS", 0.05)
    with capture_logs() as logs, pytest.raises(TimeoutError):
        await channel.request("metrics")
    monkeypatch.undo()

    assert await channel.request("alive") is True
    assert [one["event"] for one in logs] == ["unexpected_error"]
    responding.cancel()
    await asyncio.gather(responding, return_exceptions=True)


async def test_a_request_to_a_worker_that_has_ended_fails_at_once(
    ends: tuple[WorkerChannel, socket.socket],
) -> None:
    """It does not wait for the timeout."""
    channel, end = ends
    end.close()

    with pytest.raises(ConnectionError):
        await channel.request("alive")


async def test_an_incomplete_response_means_that_the_worker_has_ended(
    ends: tuple[WorkerChannel, socket.socket],
) -> None:
    """A worker can be killed while it sends a report."""
    channel, end = ends
    end.settimeout(0)
    requested = asyncio.create_task(channel.request("alive"))
    await asyncio.get_running_loop().sock_recv(end, 100)
    end.sendall(b'[1, {"rep')
    end.close()

    with pytest.raises(ConnectionError):
        await requested


async def test_a_worker_without_a_supervisor_stops_itself(
    ends: tuple[WorkerChannel, socket.socket], terminated: list[int]
) -> None:
    """Otherwise, it would keep the port, and no process would stop or replace it."""
    channel, end = ends
    await channel.close()
    async with asyncio.timeout(20):
        await respond(end, {})

    assert terminated == [signal.SIGTERM]
