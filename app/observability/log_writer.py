"""Writes log lines from a thread, so that no request waits for the program that reads the log.

An unread pipe, a closed pipe or a full disk would block or fail the request that logs at that
moment. Instead, a line goes into a bounded queue, and a daemon thread writes it. Lines that do not
fit, and lines that the operating system does not accept, are dropped and counted. Part of the queue
is reserved for audit events, so they are the last to be dropped. docs/operations.md ("What the log
guarantees") lists the guarantees.
"""

import atexit
import os
import select
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from queue import SimpleQueue
from typing import Final, Literal

Kind = Literal["audit", "other"]
Cause = Literal["queue-full", "write-failed", "not-rendered"]
Line = tuple[bytes, Kind]
Losses = Counter[tuple[Kind, Cause]]

FLUSH_SECONDS: Final = 2.0
"""How long the end of the process waits for the log, in all."""

_CAPACITY_BYTES = 4 * 1024 * 1024
_AUDIT_RESERVE_BYTES = 4 * 1024 * 1024
_OVERHEAD_BYTES = 100  # What Python needs for a queued line beside its text.
_BATCH_SECONDS = 0.02  # Long enough that a busy process wakes the thread 50 times a second.


class LogWriter:
    """A bounded queue of lines and the thread that writes them.

    Attributes:
        lost: how many lines were lost, by kind and cause.
    """

    def __init__(
        self,
        capacity_bytes: int = _CAPACITY_BYTES,
        audit_reserve_bytes: int = _AUDIT_RESERVE_BYTES,
        flush_seconds: float = FLUSH_SECONDS,
    ) -> None:
        """Create the queue; no thread runs before `start`.

        Args:
            capacity_bytes: how much the queue holds.
            audit_reserve_bytes: how much more it holds of audit events.
            flush_seconds: how long `flush` and `stop` wait together.
        """
        self._limits: dict[Kind, int] = {
            "other": capacity_bytes,
            "audit": capacity_bytes + audit_reserve_bytes,
        }
        self.lost: Losses = Counter()
        self._flush_seconds = flush_seconds
        self._fd = -1
        self._patience = flush_seconds
        self._on_loss: Callable[[Losses], None] | None = None
        self._thread: threading.Thread | None = None
        self._reset()

    def start(self, fd: int, on_loss: Callable[[Losses], None] | None = None) -> None:
        """Write to `fd` from now on; a writer that runs already is stopped first.

        Args:
            fd: a file descriptor; with -1, as where stdout is closed, every line is lost.
            on_loss: called from the thread once lines can be written again, with the number of
                lines lost since the last call.
        """
        self.stop()
        self._fd, self._on_loss = fd, on_loss
        self._start_thread()
        atexit.register(self.stop)

    def write(self, line: bytes, kind: Kind = "other") -> None:
        """Queue a line, or drop it where the queue is full. Never blocks, never raises.

        Args:
            line: the line with its line feed.
            kind: whether it is an audit event.
        """
        size = len(line) + _OVERHEAD_BYTES
        with self._lock:
            if self._queued_bytes + self._writing_bytes + size > self._limits[kind]:
                self.lost[kind, "queue-full"] += 1
                return
            first = not self._lines
            self._lines.append((line, kind))
            self._queued_bytes += size
        if first:
            self._wake.put(None)

    def count_lost(self, lines: Iterable[Line], cause: Cause) -> None:
        """Count lines that will never be written."""
        with self._lock:
            self.lost.update((kind, cause) for _, kind in lines)

    def flush(self) -> None:
        """Wait until what is queued is written or lost, for what is left of `flush_seconds`."""
        if self._thread is None:
            return
        done = threading.Event()
        self._wake.put(done)
        started = time.monotonic()
        done.wait(self._patience)
        self._patience = max(0.0, self._patience - (time.monotonic() - started))

    def stop(self) -> None:
        """Flush and end the thread. A thread that is blocked in a write ends with the process."""
        if self._thread is None:
            return
        self._stopping.set()
        self.flush()
        self._thread.join(self._patience)
        self._thread = None
        atexit.unregister(self.stop)

    def restart_after_fork(self) -> None:
        """Replace what a fork does not copy (the thread) or copies in an unknown state."""
        if self._thread is not None:
            self._start_thread()

    def _reset(self) -> None:
        # Reentrant, because the garbage collector may run here, and what it finalizes may log.
        self._lock = threading.RLock()
        self._wake: SimpleQueue[threading.Event | None] = SimpleQueue()
        self._stopping = threading.Event()
        self._lines: list[Line] = []
        self._queued_bytes = self._writing_bytes = 0
        self._patience = self._flush_seconds
        self._torn = False
        self._reported = self.lost.copy()

    def _start_thread(self) -> None:
        self._reset()
        self._thread = threading.Thread(
            target=self._run, args=(self._wake, self._stopping), name="log-writer", daemon=True
        )
        self._thread.start()

    def _run(self, wake: "SimpleQueue[threading.Event | None]", stopping: threading.Event) -> None:
        done: threading.Event | None = None
        while done is None or not stopping.is_set():
            done = wake.get()
            if done is None:
                stopping.wait(_BATCH_SECONDS)
            written = self._write_queued()
            if written and self._on_loss is not None and (lost := self._not_reported()):
                self._on_loss(lost)
            if done is not None:
                done.set()

    def _not_reported(self) -> Losses:
        with self._lock:
            lost, self._reported = self.lost - self._reported, self.lost.copy()
        return lost

    def _write_queued(self) -> bool:
        """Write what is queued, and return whether any of it was written."""
        with self._lock:
            lines, self._lines = self._lines, []
            self._writing_bytes, self._queued_bytes = self._queued_bytes, 0
        written = False
        for chunk in _chunks(lines):
            lost = self._write_chunk(chunk)
            written |= len(lost) < len(chunk)
            self.count_lost(lost, "write-failed")
            self._writing_bytes -= sum(len(line) + _OVERHEAD_BYTES for line, _ in chunk)
        return written

    def _write_chunk(self, chunk: list[Line]) -> list[Line]:
        """Write some lines, and return those that were not written whole."""
        data = memoryview(b"".join(line for line, _ in chunk))
        position = 0
        try:
            if self._torn:
                _write_some(self._fd, memoryview(b"\n"))
                self._torn = False
            while position < len(data):
                position += _write_some(self._fd, data[position:])
        except OSError:
            end = 0
            for number, (line, _) in enumerate(chunk):
                if end + len(line) > position:
                    self._torn = self._torn or position > end
                    return chunk[number:]
                end += len(line)
        return []


def _write_some(fd: int, data: memoryview) -> int:
    """Write as os.write does, but wait where the file descriptor is in non-blocking mode."""
    while True:
        with suppress(BlockingIOError):
            return os.write(fd, data)
        poll = select.poll()
        poll.register(fd, select.POLLOUT)
        poll.poll()


def _chunks(lines: list[Line]) -> Iterator[list[Line]]:
    """Group lines for one write each, which is atomic on a pipe that several processes share."""
    chunk: list[Line] = []
    size = 0
    for line in lines:
        if chunk and size + len(line[0]) > select.PIPE_BUF:
            yield chunk
            chunk, size = [], 0
        chunk.append(line)
        size += len(line[0])
    if chunk:
        yield chunk


WRITER: Final = LogWriter()
"""The writer of this process, which has one stdout, however many apps it runs."""

os.register_at_fork(after_in_child=WRITER.restart_after_fork)
