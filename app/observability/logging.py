"""Logs: one JSON object a line on stdout, or lines for a person at a terminal.

structlog's events skip the standard library's machinery, which costs four times as much. The
records of libraries, which use it, are rendered by the same processors, and the same thread writes
both (`log_writer`).
"""

import logging
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, get_args

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from ..settings import LogSettings
from .log_writer import WRITER, Kind, Losses
from .redaction import Redactor
from .rendering import (
    exceptions_without_messages,
    line_about_failed_event,
    renderer,
)

AUDIT = "audit"
"""Name of the logger of audit events, which are the last to be dropped."""

# These log URLs at INFO. uvicorn's access log has query strings, and its trace of ASGI has headers;
# the service has an access log of its own, under any server.
_QUIET = ("httpx", "httpcore", "aiohttp", "asyncio", "uvicorn.access", "uvicorn.asgi")

_Renderer = Callable[[WrappedLogger, str, EventDict], bytes]


def configure_logging(settings: LogSettings) -> Redactor:
    """Set up logging for the whole process, and start the thread that writes the log.

    `WRITER.stop` ends the thread. It runs by itself when the interpreter exits.

    Returns:
        What takes secrets out of log lines; it has to be given them.
    """
    redactor = Redactor()
    level = getattr(logging, settings.level.upper())
    render = _never_raising(
        [
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="timestamp"),
            exceptions_without_messages,
            redactor,
            renderer(settings.format),
        ]
    )
    WRITER.start(_stdout(), _log_loss)
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, render],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=_QueueLogger,
        cache_logger_on_first_use=True,
    )
    _configure_standard_library(level, render)
    return redactor


def silence_logging() -> None:
    """Write no events at all, for a command whose output is for a person."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    logging.disable(logging.CRITICAL)


def _never_raising(processors: Sequence[Processor]) -> _Renderer:
    """Return one processor for several; whatever goes wrong in them is logged, and not raised."""

    def render(wrapped: WrappedLogger, method: str, event: Any) -> bytes:
        request_id = event.get("request_id")
        try:
            for process in processors:
                event = process(wrapped, method, event)
            return bytes(event)
        except Exception as error:  # noqa: BLE001 - no request fails because of its log
            WRITER.count_lost([(b"", getattr(wrapped, "kind", "other"))], "not-rendered")
            return line_about_failed_event(error, request_id)

    return render


class _QueueLogger:
    """What structlog wraps: every method queues a line."""

    def __init__(self, *names: str) -> None:
        """Create it with the name that `structlog.get_logger` passes."""
        self.kind: Kind = "audit" if names[:1] == (AUDIT,) else "other"

    def msg(self, line: bytes) -> None:
        """Queue a line."""
        WRITER.write(line + b"\n", self.kind)

    debug = info = warning = error = critical = msg


class _QueueHandler(logging.Handler):
    """Queues the records of the standard library's loggers."""

    def __init__(self, render: _Renderer) -> None:
        super().__init__()
        self._render = render

    def emit(self, record: logging.LogRecord) -> None:
        """Queue a record."""
        event = {"event": _text(record), "logger": record.name, "exc_info": record.exc_info}
        WRITER.write(self._render(None, record.levelname.lower(), event) + b"\n")


def _text(record: logging.LogRecord) -> str:
    try:
        text = record.getMessage()
    except Exception:  # noqa: BLE001 - the library's arguments do not fit its format
        return "log record whose arguments do not fit its format"
    # Below its first line, asyncio shows tasks and futures, and the exception messages in them.
    return text.partition("\n")[0] if record.name == "asyncio" else text


def _stdout() -> int:
    if sys.stdout is not None:
        return sys.stdout.fileno()
    # It is closed. Occupy its number, or a socket gets it, and libuv aborts when it closes that.
    os.open(os.devnull, os.O_WRONLY)
    return -1


def _configure_standard_library(level: int, render: _Renderer) -> None:
    root = logging.getLogger()
    root.handlers[:] = [_QueueHandler(render)]
    root.setLevel(level)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi", "py.warnings"):
        library = logging.getLogger(name)
        library.handlers.clear()
        library.propagate = True
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
    logging.captureWarnings(capture=True)


def _log_loss(lost: Losses) -> None:
    """Mark the gap in the log, once lines can be written again."""
    counts = {
        of_kind: sum(number for (kind, _), number in lost.items() if kind == of_kind)
        for of_kind in get_args(Kind)
    }
    structlog.get_logger(AUDIT).error("log_lines_lost", **counts)
