"""The settings of the demo's service, and the lines of its log."""

import json

import pytest

from service_environment import SettingsError, service_environment
from service_log import readable

URLS = {name: f"http://127.0.0.1:{9000 + i}" for i, name in enumerate(("service", "apideck"))}
URLS |= {"issuer": "http://127.0.0.1:9002", "demo": "http://127.0.0.1:9003"}
ORIGINS = "CORS__ALLOW_ORIGINS"


def test_settings_of_the_environment_have_priority() -> None:
    """The developer's value of a setting overrides that of the demo, and is reported."""
    outside = {"webhooks__target_url": "http://127.0.0.1:1/x", "LIMITS__PER_USER": "7/minute"}

    environment = service_environment(URLS, 9000, outside)

    assert environment.variables["WEBHOOKS__TARGET_URL"] == "http://127.0.0.1:1/x"
    assert environment.variables["LIMITS__PER_USER"] == "7/minute"
    assert (environment.used, environment.ignored) == (["WEBHOOKS__TARGET_URL"], [])


def test_settings_that_the_demo_ignores_are_reported() -> None:
    """The demo needs its own configuration file and its own port."""
    outside = {"CONFIG_FILE": "mine.toml", "SERVER__PORT": "80"}

    environment = service_environment(URLS, 9000, outside)

    assert environment.variables["CONFIG_FILE"].endswith("deploy/local/config.toml")
    assert environment.variables["SERVER__PORT"] == "9000"
    assert (environment.used, environment.ignored) == ([], ["CONFIG_FILE", "SERVER__PORT"])


@pytest.mark.parametrize("form", ["console", "json"])
def test_the_log_format_applies_to_the_terminal_only(form: str) -> None:
    """The service writes JSON for the demo's server; the terminal gets the configured format."""
    environment = service_environment(URLS, 9000, {"LOG__FORMAT": form})

    assert environment.variables["LOG__FORMAT"] == "json"
    assert environment.console == (form == "console")


def test_the_origin_of_the_demo_is_always_allowed() -> None:
    """It is added to the developer's list of origins; an invalid list is passed on unchanged."""
    valid = service_environment(URLS, 9000, {ORIGINS: '["http://localhost:3000"]'})
    invalid = service_environment(URLS, 9000, {ORIGINS: "http://localhost:3000"})

    assert json.loads(valid.variables[ORIGINS]) == ["http://localhost:3000", URLS["demo"]]
    assert invalid.variables[ORIGINS] == "http://localhost:3000"


def test_a_developers_page_can_use_the_demo() -> None:
    """The page's origin may call the service, and is a redirect target."""
    environment = service_environment(URLS, 9000, {"DEMO_ORIGIN": "http://localhost:5173/"})

    assert json.loads(environment.variables[ORIGINS]) == [URLS["demo"], "http://localhost:5173"]
    assert environment.variables["SESSION__RETURN_TO__APP"] == "http://localhost:5173/"


@pytest.mark.parametrize("wrong", ["localhost:5173", "http://localhost:5173/app", "ftp://a"])
def test_a_wrong_origin_is_reported(wrong: str) -> None:
    """The error message contains a valid example."""
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
    """An event becomes a readable line without control characters; other lines are unchanged."""
    assert readable(line.encode()) == shown
