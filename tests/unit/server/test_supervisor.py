"""The supervisor, with minimal workers."""

import asyncio
import errno
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from multiprocessing.context import SpawnProcess
from pathlib import Path
from types import ModuleType

import pytest
from structlog.testing import capture_logs
from uvicorn.config import STARTUP_FAILURE

from app.observability.metrics import Metrics
from app.server.supervisor import Supervisor
from app.server.worker import Target
from app.state import Shutdown
from tests.support.worker_targets import crashing, failing_to_start, recording, responding

SECONDS = 60


@pytest.fixture(autouse=True)
def _workers_that_start_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep workers from importing pytest, which is the main module of the tests."""
    monkeypatch.setitem(sys.modules, "__main__", ModuleType("__main__"))


def supervisor_of(target: Target, *, stop_seconds: float = SECONDS) -> Supervisor:
    """Return a supervisor of two workers."""
    return Supervisor(
        target,
        2,
        stop_seconds=stop_seconds,
        shutdown=Shutdown(),
        metrics=Metrics(),
    )


@asynccontextmanager
async def running(supervisor: Supervisor) -> AsyncIterator["asyncio.Task[int]"]:
    """Run a supervisor during the context, and yield the task that returns its exit status."""
    async with asyncio.timeout(SECONDS):
        task = asyncio.create_task(supervisor.run())
        try:
            yield task
        finally:
            if not task.done():
                supervisor.stop()
                supervisor.stop()
            await task


async def wait_until(condition: Callable[[], bool]) -> None:
    """Wait until a condition is true."""
    while not condition():  # noqa: ASYNC110 - signals and files are not events
        await asyncio.sleep(0.02)


async def pids(supervisor: Supervisor, *, other_than: int = 0) -> list[int]:
    """Return the process ids of both workers as soon as both respond."""
    while True:
        families = {one.name: one for one in (await supervisor.metrics()).collect()}
        samples = families["pid"].samples if "pid" in families else []
        found = [int(one.value) for one in samples]
        if len(found) == 2 and other_than not in found:
            return found
        await asyncio.sleep(0.1)


async def test_a_worker_that_ends_is_replaced() -> None:
    """The other worker keeps running, and the end is logged and counted."""
    supervisor = supervisor_of(responding)
    with capture_logs() as logs:
        async with running(supervisor) as status:
            killed, other = await pids(supervisor)
            os.kill(killed, signal.SIGKILL)
            after = await pids(supervisor, other_than=killed)
            readiness = await supervisor.readiness()
            counted = {
                sample.name: sample.value
                for family in (await supervisor.metrics()).collect()
                for sample in family.samples
            }

    assert other in after
    assert readiness == {"1": {"status": "ready"}, "2": {"status": "ready"}}
    assert counted["vault_bff_workers_ended_total"] == 1
    assert [(one["event"], one["pid"], one["exit_status"]) for one in logs] == [
        ("worker_ended", killed, -signal.SIGKILL)
    ]
    assert await status == 0


async def test_a_worker_that_does_not_respond_is_killed_and_replaced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Otherwise, it would accept connections but serve none of them."""
    monkeypatch.setattr("app.server.worker._CHECK_SECONDS", 0.1)
    monkeypatch.setattr("app.server.worker._SILENT_SECONDS", 0.1)
    supervisor = supervisor_of(responding)
    with capture_logs() as logs:
        async with running(supervisor):
            stopped, _ = await pids(supervisor)
            os.kill(stopped, signal.SIGSTOP)
            await pids(supervisor, other_than=stopped)

    events = [one["event"] for one in logs if one["pid"] == stopped]
    assert events == ["worker_not_responding", "worker_ended"]


async def test_a_worker_that_the_system_does_not_start_is_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Both workers run after the second attempt, and the failed attempt is logged."""
    start, refused = SpawnProcess.start, [BlockingIOError(errno.EAGAIN, "no more processes")]

    def refuse_once(process: SpawnProcess) -> None:
        if refused:
            raise refused.pop()
        start(process)

    monkeypatch.setattr(SpawnProcess, "start", refuse_once)
    supervisor = supervisor_of(responding)
    with capture_logs() as logs:
        async with running(supervisor):
            await pids(supervisor)

    assert [(one["event"], one["reason"]) for one in logs] == [
        ("worker_not_started", "no more processes")
    ]


async def test_the_report_of_a_worker_that_has_just_ended_is_omitted() -> None:
    """Its counts are already included in those of ended workers."""
    supervisor = supervisor_of(responding)

    class Ending:
        started = True

        @property
        def channel(self) -> "Ending":
            return self

        async def request(self, _: str) -> dict[str, str]:
            supervisor._workers.clear()
            return {"status": "ready"}

    supervisor._workers[1] = Ending()  # type: ignore[assignment]

    readiness = await supervisor.readiness()

    assert readiness["1"] == {"status": "not running"}


@pytest.mark.parametrize("target", [failing_to_start, crashing])
async def test_workers_that_cannot_start_end_the_supervisor(target: Target) -> None:
    """The exit status is that of a single process, so the service manager can act on it."""
    async with running(supervisor_of(target)) as status:
        assert await status == STARTUP_FAILURE


@pytest.mark.parametrize(
    ("sent", "received"),
    [
        ([signal.SIGTERM, signal.SIGTERM], ["SIGTERM", "SIGINT"]),
        ([signal.SIGINT], ["SIGINT"]),
    ],
)
async def test_signals_are_passed_on_to_workers(
    tmp_path: Path, sent: list[signal.Signals], received: list[str]
) -> None:
    """A second SIGTERM is passed on as SIGINT, and no worker is replaced after the first."""
    supervisor = supervisor_of(partial(recording, tmp_path))

    def files() -> list[list[str]]:
        return [file.read_text().split() for file in tmp_path.iterdir()]

    async with running(supervisor) as status:
        await wait_until(lambda: len(files()) == 2)
        for number, name in zip(sent, received, strict=True):
            os.kill(os.getpid(), number)
            await wait_until(lambda name=name: all(name in file for file in files()))  # type: ignore[misc]
        assert await status == 0

    assert files() == [received] * 2


async def test_a_worker_that_does_not_end_is_killed(tmp_path: Path) -> None:
    """The supervisor waits for the configured time first."""
    async with running(supervisor_of(partial(recording, tmp_path), stop_seconds=1)) as status:
        await wait_until(lambda: len(list(tmp_path.iterdir())) == 2)
        os.kill(os.getpid(), signal.SIGTERM)
        assert await status == 0


async def test_pauses_get_longer_until_a_worker_has_run_for_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A worker that ends at once is restarted after longer and longer pauses, up to 30 seconds."""
    pauses: list[float] = []
    now, supervisor = 0.0, supervisor_of(responding)

    async def end(_: int) -> int:
        nonlocal now
        now += 90 if len(pauses) == 1100 else 0.1
        return 1

    async def wait(_: asyncio.Event, seconds: float) -> None:
        pauses.append(seconds)
        supervisor._shutdown.begun = len(pauses) == 1102

    monkeypatch.setattr("app.server.supervisor.time.monotonic", lambda: now)
    monkeypatch.setattr("app.server.supervisor.wait_for_event", wait)
    monkeypatch.setattr(supervisor, "_run_one", end)

    await supervisor._keep_running(1)

    assert pauses == [1, 2, 4, 8, 16, *[30] * 1095, 1, 2]
