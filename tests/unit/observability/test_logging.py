import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import structlog

from app.observability.log_writer import WRITER
from app.observability.logging import configure_logging
from app.observability.redaction import Redactor
from app.settings import LogSettings

DEBUG = LogSettings(level="debug")
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJl"


@contextmanager
def configured(settings: LogSettings) -> Iterator[Redactor]:
    """Configure logging as in production, and put everything back.

    No fixture: pytest captures the set-up of a test into another stream than the test.
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


def written(capfd: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    """Return what was written to stdout, each line a JSON object."""
    return [json.loads(line) for line in capfd.readouterr().out.splitlines()]


def test_an_event_is_one_line_of_json(capfd: pytest.CaptureFixture[str]) -> None:
    """Level, time and context come with every event; a line break cannot forge a second line."""
    with configured(DEBUG), structlog.contextvars.bound_contextvars(request_id="r-1"):
        structlog.get_logger("test").info("something", subject='x\n{"event": "forged"}')

    [line] = written(capfd)
    assert line["event"] == "something"
    assert line["level"] == "info"
    assert line["request_id"] == "r-1"
    assert line["subject"] == 'x\n{"event": "forged"}'
    assert "timestamp" in line


def test_records_of_libraries_go_the_same_way(capfd: pytest.CaptureFixture[str]) -> None:
    """A library that logs a token has it taken out like anybody."""
    with configured(DEBUG):
        logging.getLogger("some.library").warning("sent %s to %s", JWT, "ada@example.com")

    [line] = written(capfd)
    assert line["event"] == "sent [redacted] to [redacted]"
    assert line["logger"] == "some.library"
    assert line["level"] == "warning"


def test_a_secret_that_the_redactor_learned_is_taken_out_of_both(
    capfd: pytest.CaptureFixture[str],
) -> None:
    """An API key of an unusual shape is known by itself."""
    with configured(DEBUG) as redactor:
        redactor.add_secret("an-unusual-key")
        structlog.get_logger("test").info("key", value="an-unusual-key")
        logging.getLogger("some.library").info("an-unusual-key")

    assert [line["event"] for line in written(capfd)] == ["key", "[redacted]"]


def test_an_exception_is_logged_by_its_places_without_its_words(
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Types and lines of code find a fault; messages could quote what it choked on."""
    with configured(DEBUG):
        try:
            try:
                raise KeyError("Ada Lovelace")  # noqa: TRY301 - a cause is what is wanted
            except KeyError as error:
                raise ValueError("her cookie") from error
        except ValueError:
            structlog.get_logger("test").exception("failed")
            logging.getLogger("some.library").exception("failed too")

    ours, librarys = written(capfd)
    for line in (ours, librarys):
        chain = line["exception"]
        assert isinstance(chain, list)
        assert [one["type"] for one in chain] == ["builtins.ValueError", "builtins.KeyError"]
        assert "test_logging.py" in chain[0]["at"][0]
        assert "Ada" not in str(line)
        assert "cookie" not in str(line)


def test_warnings_are_logged(capfd: pytest.CaptureFixture[str]) -> None:
    """A warning of a library's is one line, too."""
    with warnings.catch_warnings(), configured(DEBUG):
        warnings.simplefilter("always")
        warnings.warn("beware", stacklevel=1)

    [line] = written(capfd)
    assert "beware" in str(line["event"])


def test_a_terminal_gets_lines_for_people(capfd: pytest.CaptureFixture[str]) -> None:
    """The console format is text, redacted all the same."""
    with configured(LogSettings(format="console")):
        structlog.get_logger("test").info("hello", token="x", words=JWT)
        structlog.get_logger("test").debug("unseen")
        logging.getLogger("some.library").warning("hello %s", JWT)

    out = capfd.readouterr().out
    assert out.count("hello") == 2
    assert JWT not in out
    assert "unseen" not in out
