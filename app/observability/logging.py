"""Logs: one JSON object a line on stdout, or lines for a person at a terminal.

structlog writes the bytes itself, without the standard library's machinery, which costs four
times as much. The records of libraries, which use that machinery, go through the same processors.
"""

import logging
import sys
import traceback
from typing import Any

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from app.observability.redaction import Redactor
from app.settings import LogSettings

# Chatty at INFO, with URLs in it.
_QUIET = ("httpx", "httpcore", "aiohttp", "asyncio")


def configure_logging(settings: LogSettings) -> Redactor:
    """Set up logging for the whole process, and return what takes secrets out of it."""
    redactor = Redactor()
    level = getattr(logging, settings.level.upper())
    chain: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="timestamp"),
        exceptions_without_messages,
        redactor,
    ]
    structlog.configure(
        processors=[*chain, _renderer(settings)],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=_logger_factory(settings),
        cache_logger_on_first_use=True,
    )
    _configure_standard_library(settings, level, chain)
    return redactor


def exceptions_without_messages(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Replace an exception by its types and places.

    Its message is left out: an exception of a library can quote whatever it choked on, which may
    be a token or a person's name. Type, file, line and function are what finds the fault.
    """
    error = event.pop("exc_info", None)
    if error is True:
        error = sys.exc_info()
    if isinstance(error, tuple):
        error = error[1]
    if isinstance(error, BaseException):
        event["exception"] = [_places(one) for one in _chain(error)]
    return event


def _chain(error: BaseException) -> list[BaseException]:
    chain: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in chain:
        chain.append(current)
        hidden = None if current.__suppress_context__ else current.__context__
        current = current.__cause__ or hidden
    return chain


def _places(error: BaseException) -> dict[str, Any]:
    frames = traceback.extract_tb(error.__traceback__)
    kind = type(error)
    return {
        "type": f"{kind.__module__}.{kind.__qualname__}",
        "at": [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames],
    }


def _renderer(settings: LogSettings) -> Processor:
    if settings.format == "console":
        return structlog.dev.ConsoleRenderer(colors=sys.stdout.isatty())
    return structlog.processors.JSONRenderer(serializer=_dumps)


def _dumps(event: EventDict, **_: Any) -> bytes:
    return orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS)


def _logger_factory(settings: LogSettings) -> Any:
    if settings.format == "console":
        return structlog.PrintLoggerFactory(sys.stdout)
    return structlog.BytesLoggerFactory(sys.stdout.buffer)


def _configure_standard_library(settings: LogSettings, level: int, chain: list[Processor]) -> None:
    def text(logger: WrappedLogger, name: str, event: EventDict) -> str:
        rendered = _renderer(settings)(logger, name, event)
        return rendered.decode() if isinstance(rendered, bytes) else str(rendered)

    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *chain, text],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "py.warnings"):
        library = logging.getLogger(name)
        library.handlers.clear()
        library.propagate = True
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
    logging.captureWarnings(capture=True)
