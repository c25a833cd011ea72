import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from app.observability.log_writer import LogWriter, Losses
from app.observability.metrics import LogCollector
from tests.support.process import ROOT, until

PIPE_BYTES = 65_536
LINE = b"x" * 999 + b"\n"


@contextmanager
def writing(fd: int, reports: list[Losses] | None = None) -> Iterator[LogWriter]:
    """Run a writer whose queue holds nine lines, and then nine more audit events."""
    writer = LogWriter(10_000, 10_000, flush_seconds=0.2)
    writer.start(fd, None if reports is None else reports.append)
    try:
        yield writer
    finally:
        writer.stop()


@contextmanager
def pipe() -> Iterator[tuple[int, int]]:
    """Open a pipe; a test may close either end."""
    others = set(threading.enumerate())
    reader, out = os.pipe()
    try:
        yield reader, out
    finally:
        with suppress(OSError):
            os.close(reader)
        # A writer that has given up waits for the pipe until now, and may have more to write. It
        # must not write to a file of another test that gets the same number.
        for thread in set(threading.enumerate()) - others:
            thread.join(10)
        with suppress(OSError):
            os.close(out)


def fill(fd: int) -> int:
    """Fill a pipe, and return the number of bytes written."""
    os.set_blocking(fd, False)
    written = 0
    with suppress(BlockingIOError):
        while True:
            written += os.write(fd, b"." * 4096)
    os.set_blocking(fd, True)
    return written


def read(fd: int, count: int) -> bytes:
    """Read `count` bytes from a pipe."""
    data = b""
    while len(data) < count:
        data += os.read(fd, count - len(data))
    return data


def test_lines_are_written_in_order() -> None:
    """Lines of one thread keep their order."""
    with pipe() as (reader, out):
        with writing(out) as writer:
            for number in range(50):
                writer.write(b"%d\n" % number)
        assert os.read(reader, PIPE_BYTES).split() == [b"%d" % number for number in range(50)]
        assert not writer.lost


def test_an_unread_pipe_does_not_block_callers() -> None:
    """Writing returns at once, lost lines are counted, and stopping has a time limit."""
    with pipe() as (_, out):
        fill(out)
        with writing(out) as writer:
            for _ in range(20):
                writer.write(LINE)
        assert writer.lost == {("other", "queue-full"): 11}


def test_audit_events_are_the_last_to_be_dropped() -> None:
    """A queue that is full of other lines still accepts audit events, until it is full of them."""
    with pipe() as (_, out):
        fill(out)
        with writing(out) as writer:
            for _ in range(20):
                writer.write(LINE)
            for _ in range(9):
                writer.write(LINE, "audit")
            assert writer.lost["audit", "queue-full"] == 0
            for _ in range(9):
                writer.write(LINE, "audit")
            assert writer.lost["audit", "queue-full"] == 9


def test_a_gap_is_reported_once_lines_can_be_written_again() -> None:
    """The report contains the number of missing lines, and there is one for each gap."""
    reports: list[Losses] = []
    with pipe() as (reader, out), writing(out, reports) as writer:
        before = fill(out)
        for _ in range(12):
            writer.write(LINE)
        assert reports == []
        assert read(reader, before) == b"." * before
        assert read(reader, 9 * len(LINE)) == LINE * 9
        until(lambda: reports == [{("other", "queue-full"): 3}])
        writer.write(LINE)
        writer.flush()
    assert len(reports) == 1


def test_a_closed_reader_does_not_fail_callers() -> None:
    """Each line is counted as not written, with its kind."""
    with pipe() as (reader, out), writing(out) as writer:
        os.close(reader)
        writer.write(LINE)
        writer.write(LINE, "audit")
        writer.flush()

        assert writer.lost == {("other", "write-failed"): 1, ("audit", "write-failed"): 1}


def test_a_full_disk_does_not_fail_callers() -> None:
    """Lines that cannot be written are counted."""
    with Path("/dev/full").open("wb") as full, writing(full.fileno()) as writer:
        writer.write(LINE)
        writer.flush()

        assert writer.lost == {("other", "write-failed"): 1}


def test_a_closed_stdout_does_not_fail_callers() -> None:
    """Without a file descriptor, every line is counted as not written."""
    with writing(-1) as writer:
        writer.write(LINE)
        writer.flush()

        assert writer.lost == {("other", "write-failed"): 1}


def test_a_truncated_line_does_not_corrupt_the_next_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the disk becomes full within a line, the next line that fits starts on a new line."""
    written = b""
    space = 1500

    def write(_: int, data: memoryview) -> int:
        nonlocal written
        count = min(len(data), space - len(written))
        if count == 0:
            raise OSError(28, "No space left on device")
        written += bytes(data[:count])
        return count

    monkeypatch.setattr(os, "write", write)
    with writing(1) as writer:
        writer.write(b"a" * 999 + b"\n")
        writer.write(b"b" * 999 + b"\n")
        writer.flush()
        space = 10_000
        writer.write(b"c" * 999 + b"\n")
        writer.flush()

    assert [line[:1] + line[-1:] for line in written.splitlines()] == [b"aa", b"bb", b"cc"]
    assert [len(line) for line in written.splitlines()] == [999, 500, 999]
    assert writer.lost == {("other", "write-failed"): 1}


def test_the_writer_waits_for_a_non_blocking_stdout() -> None:
    """No line is lost if the parent process has set O_NONBLOCK on the pipe."""
    with pipe() as (reader, out), writing(out) as writer:
        before = fill(out)
        os.set_blocking(out, False)
        writer.write(LINE)
        until(lambda: writer._writing_bytes > 0)
        assert read(reader, before + len(LINE)).endswith(LINE)
        assert not writer.lost


def test_lines_of_several_processes_do_not_mix(monkeypatch: pytest.MonkeyPatch) -> None:
    """No write is longer than a pipe accepts atomically."""
    written: list[bytes] = []

    def write(_: int, data: memoryview) -> int:
        written.append(bytes(data))
        return len(data)

    monkeypatch.setattr(os, "write", write)
    with writing(1) as writer:
        for _ in range(9):
            writer.write(LINE)

    assert [len(data) for data in written] == [4000, 4000, 1000]


def test_the_thread_ends_with_the_writer() -> None:
    """A stopped writer has no running thread, and can be started again."""
    with pipe() as (reader, out):
        writer = LogWriter()
        for _ in range(2):
            writer.start(out)
            writer.write(LINE)
            writer.stop()
            assert "log-writer" not in {thread.name for thread in threading.enumerate()}
        writer.stop()
        assert os.read(reader, PIPE_BYTES) == LINE * 2


def test_losses_are_metrics() -> None:
    """Each kind and cause has a series, even before anything is lost."""
    writer = LogWriter(0, 0)
    writer.write(LINE, "audit")
    [family] = LogCollector(writer).collect()

    values = {tuple(one.labels.values()): one.value for one in family.samples}
    assert values[("audit", "queue-full")] == 1
    assert sum(values.values()) == 1
    assert len(values) == 6


FORKING = """
import os, sys
from app.observability.log_writer import WRITER
WRITER.start(1)
WRITER.write(b"parent\\n")
if os.fork():
    os.wait()
else:
    WRITER.write(b"child\\n")
    WRITER.flush()
    os._exit(0)
"""


def test_a_forked_process_writes_its_own_lines() -> None:
    """No line of the child process is lost, and no line of the parent is repeated."""
    run = subprocess.run(
        # Python 3.12 and later warn about every fork in a process with threads.
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORKING],
        check=True,
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert sorted(run.stdout.splitlines()) == ["child", "parent"]
    assert run.stderr == ""
