"""From an event to the bytes of its line."""

import sys
import traceback
from typing import Any, Literal

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger


def exceptions_without_messages(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Replace an exception by the types and code locations of it and of its causes.

    Its message is left out: an exception of a library can quote what it failed on, which may be a
    token or a person's name. Type, file, line and function are what finds a fault.
    """
    error = event.pop("exc_info", None)
    if error is True:
        error = sys.exc_info()
    if isinstance(error, tuple):
        error = error[1]
    if isinstance(error, BaseException):
        event["exception"] = [_locations(one) for one in _causes(error)]
    return event


def _causes(error: BaseException) -> list[BaseException]:
    chain: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in chain:
        chain.append(current)
        hidden = None if current.__suppress_context__ else current.__context__
        current = current.__cause__ or hidden
    return chain


def _locations(error: BaseException) -> dict[str, Any]:
    frames = traceback.extract_tb(error.__traceback__)
    kind = type(error)
    return {
        "type": f"{kind.__module__}.{kind.__qualname__}",
        "at": [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames],
    }


def renderer(form: Literal["json", "console"]) -> Processor:
    """Return the processor that makes the line of an event, as bytes."""
    if form == "json":
        return _json
    console = structlog.dev.ConsoleRenderer(colors=sys.stdout is not None and sys.stdout.isatty())

    def render(logger: WrappedLogger, method: str, event: EventDict) -> bytes:
        return console(logger, method, event).encode()

    return render


def _json(_: WrappedLogger, __: str, event: EventDict) -> bytes:
    return orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS)
