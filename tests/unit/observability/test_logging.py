import json
import logging
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import structlog

from app.observability.log_writer import WRITER
from app.observability.logging import AUDIT, configure_logging
from app.observability.redaction import Redactor
from app.settings import LogSettings
from tests.support.process import ROOT

DEBUG = LogSettings(level="debug")
CONSOLE = LogSettings(format="console")
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJl"
UNSAFE = [
    *map(chr, range(0x20)), *map(chr, range(0x7F, 0xA0)), "\u061c", "\u200e", "\u200f",
    *map(chr, range(0x2028, 0x202F)), *map(chr, range(0x2066, 0x206A)), "\ud800", "\udfff",
]  # fmt: skip
"""Control characters, line separators, bidirectional controls and lone surrogates."""


@contextmanager
def configured(settings: LogSettings) -> Iterator[Redactor]:
    """Configure logging as in production, and restore it afterwards.

    This is not a fixture, because pytest captures the setup of a test in another stream.
    """
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        yield configure_logging(settings)
    finally:
        WRITER.stop()
        root.handlers[:], root.level = handlers, level
        logging.captureWarnings(capture=False)
        structlog.reset_defaults()


def written(capfd: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """Return the lines on stdout, each of which is a JSON object."""
    return [json.loads(line) for line in capfd.readouterr().out.splitlines()]


def test_an_event_is_one_line_of_json(capfd: pytest.CaptureFixture[str]) -> None:
    """An event has a level, a time and its context; a line feed cannot forge a second line."""
    with configured(DEBUG), structlog.contextvars.bound_contextvars(request_id="r-1"):
        structlog.get_logger("test").info("something", subject='x\n{"event": "forged"}')

    [line] = written(capfd)
    assert line["event"] == "something"
    assert line["level"] == "info"
    assert line["request_id"] == "r-1"
    assert line["subject"] == 'x\n{"event": "forged"}'
    assert "timestamp" in line


def test_records_of_libraries_are_redacted_and_rendered_like_events(
    capfd: pytest.CaptureFixture[str],
) -> None:
    """A token in a library's record is redacted."""
    with configured(DEBUG):
        logging.getLogger("some.library").warning("sent %s to %s", JWT, "ada@example.com")

    [line] = written(capfd)
    assert line["event"] == "sent [redacted] to [redacted]"
    assert line["logger"] == "some.library"
    assert line["level"] == "warning"


def test_a_known_secret_is_redacted_in_events_and_records(
    capfd: pytest.CaptureFixture[str],
) -> None:
    """An API key with an unusual form is recognized by its value."""
    with configured(DEBUG) as redactor:
        redactor.add_secret("an-unusual-key")
        structlog.get_logger("test").info("key", value="an-unusual-key")
        logging.getLogger("some.library").info("an-unusual-key")

    event, record = written(capfd)
    assert (event["event"], event["value"]) == ("key", "[redacted]")
    assert record["event"] == "[redacted]"


@pytest.mark.parametrize("settings", [DEBUG, CONSOLE], ids=["json", "console"])
def test_an_exception_is_logged_without_its_message(
    capfd: pytest.CaptureFixture[str], settings: LogSettings
) -> None:
    """Types and code locations are enough to find a fault; messages could quote personal data."""
    with configured(settings):
        try:
            try:
                raise KeyError("Ada Lovelace")  # noqa: TRY301 - the test is about a cause
            except KeyError as error:
                raise ValueError("her cookie") from error
        except ValueError:
            structlog.get_logger("test").exception("failed")
            logging.getLogger("some.library").exception("failed too")

    out = capfd.readouterr().out
    for part in ("failed", "failed too", "builtins.ValueError", "builtins.KeyError"):
        assert part in out
    assert out.count("test_logging.py") == 4
    assert "Ada" not in out
    assert "cookie" not in out


def test_warnings_are_logged(capfd: pytest.CaptureFixture[str]) -> None:
    """A warning of a library is also one line."""
    with warnings.catch_warnings(), configured(DEBUG):
        warnings.simplefilter("always")
        warnings.warn("beware", stacklevel=1)

    [line] = written(capfd)
    assert "beware" in str(line["event"])


def test_the_console_format_is_readable_text(capfd: pytest.CaptureFixture[str]) -> None:
    """Like JSON, it is redacted, and has only lines of the configured level."""
    with configured(CONSOLE):
        structlog.get_logger("test").info("hello", token="x", words=JWT)
        structlog.get_logger("test").debug("unseen")
        logging.getLogger("some.library").warning("hello %s", JWT)

    out = capfd.readouterr().out
    assert out.count("hello") == 2
    assert JWT not in out
    assert "unseen" not in out


@pytest.mark.parametrize("settings", [DEBUG, CONSOLE], ids=["json", "console"])
def test_control_and_bidirectional_characters_are_escaped(
    capfd: pytest.CaptureFixture[str], settings: LogSettings
) -> None:
    """This applies to events and library records, and to texts, lists and keys."""
    with configured(settings):
        for one in UNSAFE:
            value = f"<{one}>"
            structlog.get_logger("test").info("ours", subject=value, more=[value, {value: value}])
            logging.getLogger("some.library").warning("%s %r", value, value)

    out = capfd.readouterr().out
    assert [one for one in UNSAFE if one in out.replace("\n", "")] == []
    assert len(out.split("\n")) == 2 * len(UNSAFE) + 1


def test_escaped_characters_can_be_read_back(capfd: pytest.CaptureFixture[str]) -> None:
    """They are JSON escapes, so tools decode the original text; other text stays readable."""
    text = "é 漢 👩‍💻 \x9b \u202e \ud800"
    with configured(DEBUG):
        structlog.get_logger("test").info("ours", subject=text)

    out = capfd.readouterr().out
    assert json.loads(out)["subject"] == text
    with configured(DEBUG):
        structlog.get_logger("test").info("ours", subject="é 漢 👩‍💻 \x9b")
    assert '"é 漢 👩‍💻 \\u009b"' in capfd.readouterr().out


def test_numbers_of_any_size_are_logged(capfd: pytest.CaptureFixture[str]) -> None:
    """A claim can have more than the 64 bits that orjson supports."""
    with configured(DEBUG):
        structlog.get_logger("test").info("ours", number=2**70)

    assert written(capfd)[0]["number"] == 2**70


class Unprintable:
    """A value that cannot be converted to text."""

    def __str__(self) -> str:
        raise RuntimeError("secret")


@pytest.mark.parametrize("settings", [DEBUG, CONSOLE], ids=["json", "console"])
def test_an_event_that_cannot_be_rendered_does_not_fail_the_caller(
    capfd: pytest.CaptureFixture[str], settings: LogSettings
) -> None:
    """It is counted as lost, and the log has an event with the exception and the request ID."""
    before = WRITER.lost["audit", "not-rendered"]
    with configured(settings), structlog.contextvars.bound_contextvars(request_id="r-1"):
        structlog.get_logger(AUDIT).info("ours", subject=Unprintable())

    out = capfd.readouterr().out
    line = json.loads(out.splitlines()[0])
    assert (line["event"], line["level"]) == ("log_event_failed", "error")
    assert line["request_id"] == "r-1"
    assert line["exception"][0]["type"] == "builtins.RuntimeError"
    assert "secret" not in out
    assert "log_lines_lost" in out
    assert WRITER.lost["audit", "not-rendered"] == before + 1


def test_a_record_that_cannot_be_formatted_does_not_quote_its_arguments(
    capfd: pytest.CaptureFixture[str],
) -> None:
    """The standard library would print them to stderr without redaction."""
    with configured(DEBUG):
        logging.getLogger("some.library").warning("%d items", "hunter2")

    out, err = capfd.readouterr()
    assert json.loads(out)["logger"] == "some.library"
    assert "hunter2" not in out + err


def test_errors_of_asyncio_are_logged_without_exception_messages(
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Only the first line is logged, because asyncio adds the message of the exception after it."""
    with configured(DEBUG):
        logging.getLogger("asyncio").error(
            "Task exception was never retrieved\nfuture: <Task exception=ValueError('hunter2')>"
        )

    [line] = written(capfd)
    assert line["event"] == "Task exception was never retrieved"


LOSING = """
import os, structlog
from app.observability.log_writer import WRITER
from app.observability.logging import configure_logging
from app.settings import LogSettings
configure_logging(LogSettings())
WRITER.count_lost([(b"", "audit"), (b"", "other"), (b"", "other")], "queue-full")
structlog.get_logger("test").info("first")
"""


def test_a_gap_in_the_log_is_reported_in_the_log() -> None:
    """The event follows when a line can be written, at the latest when the process ends."""
    run = subprocess.run(
        [sys.executable, "-c", LOSING], check=True, cwd=ROOT, capture_output=True, text=True
    )

    first, gap = map(json.loads, run.stdout.splitlines())
    assert first["event"] == "first"
    assert (gap["event"], gap["audit"], gap["other"]) == ("log_lines_lost", 1, 2)
