"""From an event to the bytes of its line.

A line shows every control and bidirectional character as an escape sequence, whatever its source:
a caller must be able neither to forge a line, nor to control the operator's terminal, nor to make a
line look different from what it says.
"""

import json
import re
import sys
import traceback
from datetime import UTC, datetime
from typing import Any, Literal

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

# C0, DEL and C1 controls; marks, embeddings, overrides and isolates of bidirectional text; the line
# and paragraph separators; lone surrogates, which UTF-8 cannot encode.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


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
    """Return the processor that makes the line of an event, as bytes without a line feed."""
    if form == "json":
        return _json
    console = structlog.dev.ConsoleRenderer(colors=sys.stdout is not None and sys.stdout.isatty())

    def render(logger: WrappedLogger, method: str, event: EventDict) -> bytes:
        exceptions = event.pop("exception", ())
        # Values that are no strings are shown by `repr`, which escapes these characters, too.
        line = console(
            logger, method, {name: _escaped_for_console(value) for name, value in event.items()}
        )
        for one in exceptions:
            line += "".join(f"\n    {text}" for text in (one["type"], *one["at"]))
        return line.encode()

    return render


def line_about_failed_event(error: Exception, request_id: Any) -> bytes:
    """Return a line to write in place of an event that cannot be rendered."""
    fields = {
        "event": "log_event_failed",
        "request_id": request_id if isinstance(request_id, str) else None,
        "level": "error",
        "timestamp": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
        "exception": [_locations(one) for one in _causes(error)],
    }
    return json.dumps(fields).encode()  # Everything that is not ASCII is escaped.


def _json(_: WrappedLogger, __: str, event: EventDict) -> bytes:
    try:
        line = orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS)
    except TypeError:
        # A lone surrogate, or an integer of more than 64 bits.
        return json.dumps(event, default=str, allow_nan=False).encode()
    if line.isascii() and b"\x7f" not in line:
        return line
    return _UNSAFE.sub(_json_escape, line.decode()).encode()


def _json_escape(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"


def _escaped_for_console(value: Any) -> Any:
    if not isinstance(value, str) or value.isprintable():
        return value
    return _UNSAFE.sub(lambda match: match[0].encode("unicode_escape").decode(), value)
