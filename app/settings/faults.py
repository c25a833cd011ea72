"""What is wrong with the settings, in words for an operator."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, Protocol

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from . import Settings
from .schema import ANY, below, nearest

Path = tuple[str, ...]

RENAMED: Final = {
    ("apideck", "applications"): "unify_apps",
    ("identity", "applications"): "cookie_sessions",
    ("identity", "issuers", ANY, "apideck", "application"): "unify_app",
    ("identity", "cookie_sessions", ANY, "apideck", "application"): "unify_app",
}
"""Settings by their old paths, and their names now."""

FORMS: Final = {
    r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$": "1 to 64 letters, digits or characters of "
    "!#$%&'*+-.^_`|~",
    r"^(unlimited|[1-9][0-9]{0,6}/(second|minute|hour|day))$": "unlimited, or a number and "
    "/second, /minute, /hour or /day, such as 60/minute",
    r"^[#a-zA-Z0-9(),.% -]{1,64}$": "a CSS color, such as #0a7 or rgb(0, 170, 119)",
    r"^[A-Za-z0-9-]{1,64}$": "1 to 64 letters, digits or hyphens",
    r"^[A-Za-z0-9._-]{1,64}$": "1 to 64 letters, digits, dots, underscores or hyphens",
    r"^[A-Za-z0-9._:-]{0,32}$": "at most 32 letters, digits, dots, underscores, colons or hyphens",
    r"^[\x21-\x7e]{1,128}$": "1 to 128 printable ASCII characters without spaces",
    r"^[^\x00-\x1f\x7f-\x9f]*$": "text without control characters",
    r"^[a-z0-9-]{1,64}$": "1 to 64 lower-case letters, digits or hyphens",
    r"^[a-z0-9.-]{1,253}$": "a host name in lower case, without a port",
    r"^[A-Za-z0-9._-]{1,128}$": "1 to 128 letters, digits, dots, underscores or hyphens",
    r"^(\*|[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*(\.?\*)?)$": "an event type, or the beginning of one "
    "and an asterisk, such as vault.connection.*",
    r"^[a-z0-9][a-z0-9_-]{0,63}$": "1 to 64 lower-case letters, digits, underscores or hyphens, "
    "and begin with a letter or digit",
}
"""What each pattern of a setting means."""

_WORDS: Mapping[str, str] = {
    "missing": "is required",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "int_parsing_size": "must be a smaller number",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "string_type": "must be text",
    "string_unicode": "must be UTF-8 text",
    "path_type": "must be the path of a file",
    "tuple_type": "must be a list",
    "list_type": "must be a list",
    "dict_type": "must be a table",
    "model_type": "must be a table",
    "model_attributes_type": "must be a table",
    "ip_any_network": "must be a network, such as 10.0.0.0/8",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "too_short": "must have at least {min_length} entries",
    "too_long": "must have at most {max_length} entries",
    "literal_error": "must be {expected}",
}


class Places(Protocol):
    """Where settings are given."""

    def place(self, path: Path) -> str:
        """Return where a setting is given, or would be: its variable, or its file and line."""

    def spelling(self, path: Path, like: Path) -> str:
        """Return the name of a setting at the place where another one is given."""


def faults_of(error: ValidationError, places: Places) -> Iterator[str]:
    """Yield a line for each setting that is wrong.

    Args:
        error: what is wrong.
        places: where settings are given.
    """
    seen: set[tuple[Path, str]] = set()
    for details in error.errors(include_url=False, include_input=False):
        path, rest = _split(details["loc"])
        entry = next((f"entry {part + 1} " for part in rest if isinstance(part, int)), "")
        if (path, entry) not in seen:  # A union has a fault for each of its members.
            seen.add((path, entry))
            yield f"{places.place(path)}: {entry}{_words(path, details, places)}"


def _split(location: tuple[int | str, ...]) -> tuple[Path, tuple[int | str, ...]]:
    """Return the path of the setting, and what lies within its value."""
    annotation: Any = Settings
    for number, part in enumerate(location):
        names = below(annotation)
        if not names or part == "[key]":
            return tuple(map(str, location[:number])), location[number:]
        annotation = names.get(str(part), names.get(ANY))
    return tuple(map(str, location)), ()


def _words(path: Path, details: ErrorDetails, places: Places) -> str:
    kind, context = details["type"], details.get("ctx", {})
    if kind == "extra_forbidden":
        return _unknown(path, places)
    if kind == "string_pattern_mismatch":
        form = FORMS.get(context["pattern"], "of the form in docs/configuration.md")
        return f"{'its name ' if details['loc'][-1] == '[key]' else ''}must be {form}"
    if kind == "value_error":
        return str(context["error"])
    if kind in {"string_too_short", "too_short"} and context["min_length"] == 1:
        return "must not be empty"
    numbers = {
        name: int(value) if isinstance(value, float) and value.is_integer() else value
        for name, value in context.items()
    }
    # Choices have quotation marks around each.
    return _WORDS.get(kind, "is not valid").format(**numbers).replace("'", "")


def _unknown(path: Path, places: Places) -> str:
    for old, name in RENAMED.items():
        if len(old) == len(path) and all(a in {ANY, b} for a, b in zip(old, path, strict=True)):
            return f"is now called {places.spelling((*path[:-1], name), path)}"
    meant = nearest(path, Settings)
    return "is not a setting" + (f"; did you mean {places.spelling(meant, path)}?" if meant else "")
