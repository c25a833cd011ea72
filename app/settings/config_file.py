"""The TOML file with settings, and on which line each of them is."""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import ConfigurationError


class ConfigFile:
    """A TOML file that was read.

    Attributes:
        path: the path of the file, as the operator gave it.
        values: what is in it, nested.
    """

    def __init__(self, path: str) -> None:
        """Read the file.

        Raises:
            ConfigurationError: it cannot be read, or is no TOML; it is not quoted.
        """
        self.path = path
        try:
            self._text = Path(path).read_text(encoding="utf-8")
            self.values: dict[str, Any] = tomllib.loads(self._text)
        except OSError as error:
            raise ConfigurationError([f"CONFIG_FILE: {path}: {error.strerror}"]) from None
        except UnicodeDecodeError:
            raise ConfigurationError([f"CONFIG_FILE: {path}: is not UTF-8 text"]) from None
        except RecursionError:
            raise ConfigurationError([f"CONFIG_FILE: {path}: is nested too deeply"]) from None
        except ValueError as error:
            # Its message could quote a key of the file; it ends with the position.
            position = re.search(r"\((at [^()]*)\)$", str(error))
            where = f" ({position[1]})" if position else ""
            raise ConfigurationError([f"CONFIG_FILE: {path}: is not valid TOML{where}"]) from None

    def line_of(self, path: tuple[str, ...]) -> int | None:
        """Return the number of the line where a setting or table begins, or None.

        It is the first line after the longest beginning of the file that lacks the setting.
        """
        lines = self._text.split("\n")  # As editors count; splitlines has further separators.
        before = 0
        for number in range(1, len(lines) + 1):
            try:
                values = tomllib.loads("\n".join(lines[:number]))
            except ValueError:
                continue  # The line is within a value.
            if holds(values, path):
                return before + 1
            before = number
        return None


def holds(values: object, path: tuple[str, ...]) -> bool:
    """Tell whether nested values have something at a path."""
    for name in path:
        if not isinstance(values, Mapping) or name not in values:
            return False
        values = values[name]
    return True
