"""Secrets that are read from files."""

import asyncio
import gc
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from app.common.secret_file import SecretFile


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    """Return a pipe. A read blocks until something is written, as on an unavailable volume."""
    path = tmp_path / "secret"
    os.mkfifo(path)
    return path


async def test_a_file_is_read_each_time(tmp_path: Path) -> None:
    """A read returns the current content, without the line break at its end."""
    path = tmp_path / "secret"
    file = SecretFile(path)
    for content in ("first", "second"):
        _write(path, f"{content}\n")
        assert await file.read() == content


async def test_the_result_of_a_cancelled_read_is_not_reused(pipe: Path) -> None:
    """It could be older than a rotation of the secret."""
    file = SecretFile(pipe)
    cancelled = asyncio.create_task(file.read())
    await asyncio.sleep(0)
    cancelled.cancel()
    await asyncio.gather(cancelled, return_exceptions=True)
    await asyncio.to_thread(_write, pipe, "old")
    await _wait_until(lambda: not _reader_threads())
    await asyncio.sleep(0)
    _replace(pipe, "new")

    assert await file.read() == "new"


async def test_concurrent_reads_share_one_thread(pipe: Path) -> None:
    """Both get the content."""
    file = SecretFile(pipe)
    reads = [asyncio.create_task(file.read()) for _ in range(2)]
    await asyncio.sleep(0)
    assert len(_reader_threads()) == 1
    await asyncio.to_thread(_write, pipe, "secret")

    assert await asyncio.gather(*reads) == ["secret", "secret"]


async def test_a_read_that_hangs_is_not_started_twice(
    pipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise, each attempt on an unresponsive volume would use another thread."""
    monkeypatch.setattr("app.common.secret_file._READ_SECONDS", 0.01)
    file = SecretFile(pipe)
    for _ in range(2):
        with pytest.raises(TimeoutError, match="does not respond"):
            await file.read()
    assert len(_reader_threads()) == 1
    await asyncio.to_thread(_write, pipe, "back")
    await _wait_until(lambda: not _reader_threads())


async def test_the_error_of_a_cancelled_read_is_not_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The event loop would otherwise log it when the future is deleted."""
    file = SecretFile(tmp_path / "missing")
    cancelled = asyncio.create_task(file.read())
    await asyncio.sleep(0)
    cancelled.cancel()
    await asyncio.gather(cancelled, return_exceptions=True)
    await _wait_until(lambda: not _reader_threads())
    await asyncio.sleep(0)
    del file, cancelled
    gc.collect()

    assert caplog.records == []


def _write(path: Path, content: str) -> None:
    path.write_text(content)


def _replace(path: Path, content: str) -> None:
    path.unlink()
    path.write_text(content)


def _reader_threads() -> list[threading.Thread]:
    return [one for one in threading.enumerate() if one.name == "secret-file"]


async def _wait_until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - the end of a thread is not an event
            await asyncio.sleep(0.01)
