"""The settings of the demo's service, and the lines of its log."""

import json

import pytest

from service_environment import SettingsError, service_environment
from service_log import readable

URLS = {name: f"http://127.0.0.1:{9000 + i}" for i, name in enumerate(("service", "apideck"))}
URLS |= {"issuer": "http://127.0.0.1:9002", "demo": "http://127.0.0.1:9003"}
ORIGINS = "CORS__ALLOW_ORIGINS"


def test_settings_of_the_environment_have_priority() -> None:
    """A setting that the demo would set, too, keeps the developer's value, and is reported."""
    given = {"webhooks__target_url": "http://127.0.0.1:1/x", "LIMITS__PER_USER": "7/minute"}

    made = service_environment(URLS, 9000, given)

    assert made.variables["WEBHOOKS__TARGET_URL"] == "http://127.0.0.1:1/x"
    assert made.variables["LIMITS__PER_USER"] == "7/minute"
    assert (made.used, made.ignored) == (["WEBHOOKS__TARGET_URL"], [])


def test_what_the_demo_has_to_replace_is_reported() -> None:
    """The demo needs its own file and port, and says which settings it ignores."""
    made = service_environment(URLS, 9000, {"CONFIG_FILE": "mine.toml", "SERVER__PORT": "80"})

    assert made.variables["CONFIG_FILE"].endswith("deploy/local/config.toml")
    assert made.variables["SERVER__PORT"] == "9000"
    assert (made.used, made.ignored) == ([], ["CONFIG_FILE", "SERVER__PORT"])


@pytest.mark.parametrize("form", ["console", "json"])
def test_the_format_of_the_log_is_that_of_the_terminal(form: str) -> None:
    """The service writes JSON for the demo's server; the terminal gets the chosen format."""
    made = service_environment(URLS, 9000, {"LOG__FORMAT": form})

    assert made.variables["LOG__FORMAT"] == "json"
    assert made.console == (form == "console")


def test_the_demos_own_page_stays_allowed() -> None:
    """The developer's list of origins gets that of the demo; the service reports a wrong list."""
    both = service_environment(URLS, 9000, {ORIGINS: '["http://localhost:3000"]'})
    wrong = service_environment(URLS, 9000, {ORIGINS: "http://localhost:3000"})

    assert json.loads(both.variables[ORIGINS]) == ["http://localhost:3000", URLS["demo"]]
    assert wrong.variables[ORIGINS] == "http://localhost:3000"


def test_a_developers_page_can_use_the_demo() -> None:
    """Its origin may call the service, and is a redirect target."""
    made = service_environment(URLS, 9000, {"DEMO_ORIGIN": "http://localhost:5173/"})

    assert json.loads(made.variables[ORIGINS]) == [URLS["demo"], "http://localhost:5173"]
    assert made.variables["SESSION__RETURN_TO__APP"] == "http://localhost:5173/"


@pytest.mark.parametrize("wrong", ["localhost:5173", "http://localhost:5173/app", "ftp://a"])
def test_a_wrong_origin_is_reported(wrong: str) -> None:
    """The message has the value and an example."""
    with pytest.raises(SettingsError, match="http://localhost:5173"):
        service_environment(URLS, 9000, {"DEMO_ORIGIN": wrong})


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (
            '{"event": "x", "n": 1, "text": "a b", "timestamp": "T", "level": "info"}',
            f'T [info    ] {"x":30} n=1 text="a b"\n',
        ),
        (
            '{"event": "x", "e": "\\u001b[2J", "timestamp": "T", "level": "error"}',
            f'T [error   ] {"x":30} e="\\u001b[2J"\n',
        ),
        ("Traceback", "Traceback"),
        ("[1]", "[1]"),
    ],
)
def test_a_log_line_is_readable(line: str, shown: str) -> None:
    """An event becomes a line for a person, without control characters; other lines stay."""
    assert readable(line.encode()) == shown
