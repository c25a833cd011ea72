"""Where settings come from: the environment, over one TOML file."""

import os
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any, ClassVar

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    SettingsConfigDict,
)

from ..common import strict_json
from ..errors import ConfigurationError
from . import Settings
from .config_file import ConfigFile, holds
from .faults import Path, faults_of
from .schema import ANY, nearest, settings_in

CONFIG_FILE = "CONFIG_FILE"
"""The environment variable that names the TOML file."""

PORT = "PORT"
"""The environment variable in which platforms such as Cloud Run and Heroku pass the port."""

DELIMITER = "__"

HOW_TO_BEGIN = (
    "No settings were found. The service needs at least these variables in its environment:",
    "APIDECK__API_KEY=<your Apideck API key>",
    "APIDECK__APP_ID=<your Apideck app ID>",
    "IDENTITY__ISSUERS__MAIN__ISSUER=<the iss of your users' tokens>",
    "IDENTITY__ISSUERS__MAIN__AUDIENCE=<the aud of your users' tokens>",
    "or the same in a TOML file that CONFIG_FILE names; see README.md and docs/configuration.md",
)


class _Environment(EnvSettingsSource):
    """Environment variables. What is a list or a table is for the groups to decode."""

    def __init__(self, settings: type[BaseSettings]) -> None:
        super().__init__(settings)
        # A group precedes the settings in it, because each value replaces earlier ones.
        by_depth = sorted(self.env_vars.items(), key=lambda one: one[0].count(DELIMITER))
        self.env_vars = dict(by_depth)

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Return the JSON object that holds a whole group.

        Any other value of such a variable is another program's, as `SESSION=ubuntu` is.
        """
        value, key, is_complex = super().get_field_value(field, field_name)
        if isinstance(value, str) and not value.lstrip().startswith("{"):
            value = None
        return value, key, is_complex

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:  # noqa: ARG002
        """Decode a JSON object, because further variables can add to it; leave the rest."""
        if not str(value).lstrip().startswith("{"):
            return value
        try:
            return strict_json.loads(value.encode())
        except (ValueError, RecursionError):
            return value


class _Variables(BaseSettings, Settings):
    """Tells the library which variables there are."""

    model_config: ClassVar[SettingsConfigDict] = SettingsConfigDict(env_nested_delimiter=DELIMITER)


class Sources:
    """What the environment and the file give.

    Attributes:
        environment: what the environment gives, nested.
        platform: what `PORT` gives, nested; it counts less than `environment`.
        file: the file, if there is one.
    """

    def __init__(self) -> None:
        """Read both.

        Raises:
            ConfigurationError: the file cannot be read.
        """
        path = os.environ.get(CONFIG_FILE)
        self.environment: dict[str, Any] = _Environment(_Variables)()
        port = os.environ.get(PORT)
        self.platform: dict[str, Any] = {"server": {"port": port}} if port else {}
        self.file = ConfigFile(path) if path else None

    def load(self) -> Settings:
        """Return the settings.

        Raises:
            ConfigurationError: with one line for each fault, naming the setting, never its value.
        """
        if not self.environment and self.file is None:
            raise ConfigurationError([*HOW_TO_BEGIN, *misspelt()])
        # Where a group is missing as a whole, what it lacks is named.
        required: dict[str, Any] = {"apideck": {}, "identity": {}}
        values = _merged(required, self._in_file, self.platform, self.environment)
        try:
            return Settings.model_validate(values)
        except ValidationError as error:
            raise ConfigurationError([*faults_of(error, self), *misspelt()]) from None
        except RecursionError:
            raise ConfigurationError(["settings: are nested too deeply"]) from None

    def given(self) -> dict[str, dict[str, Any]]:
        """Return what each source gives, nested, by the source's name; the first counts most."""
        return {"environment": self.environment, PORT: self.platform, "file": self._in_file}

    def place(self, path: Path) -> str:
        """Return where a setting is given, or would be: its variable, or its file and line."""
        if path == ("server", "port") and self.platform and not holds(self.environment, path):
            return PORT
        origin = self._origin(path)
        if self.file is None or origin is None:
            return variable(path)
        return f"{self.file.path}, line {self.file.line_of(origin)}: {'.'.join(path)}"

    def spelling(self, path: Path, like: Path) -> str:
        """Return the name of a setting at the place where another one is given."""
        return variable(path) if self._origin(like) is None else path[-1]

    def _origin(self, path: Path) -> Path | None:
        """Return the path itself or the table that lacks it, if the file alone has that."""
        for origin in (path, path[:-1]):
            if holds(self.environment, origin):
                return None
            if holds(self._in_file, origin):
                return origin
        return None

    @property
    def _in_file(self) -> dict[str, Any]:
        return self.file.values if self.file else {}


def load_settings() -> Settings:
    """Read the settings from the environment and from the file that `CONFIG_FILE` names.

    Raises:
        ConfigurationError: with one line for each fault, naming the setting, never its value.
    """
    return Sources().load()


def misspelt() -> Iterator[str]:
    """Yield a line for each variable that is not a setting, but looks like one."""
    patterns = {"_".join(path): path for path in settings_in(Settings)}
    for name, value in sorted(os.environ.items()):
        path = tuple(name.lower().split(DELIMITER))
        if path[0] in Settings.model_fields and len(path) > 1:
            continue  # It is read as a setting.
        meant = nearest(path, Settings) if len(path) > 1 else None
        # Kubernetes sets such variables for each service of the namespace.
        if meant is None and not value.startswith("tcp://"):
            flat = name.lower().replace(DELIMITER, "_")
            meant = next((patterns[one] for one in patterns if fnmatchcase(flat, one)), None)
        if meant is not None and name != CONFIG_FILE:
            yield f"{name}: is not a setting; did you mean {variable(meant)}?"


def variable(path: Path) -> str:
    """Return the environment variable of a setting."""
    return DELIMITER.join(path).upper().replace(ANY, "<name>") or "settings"


def _merged(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """Return nested values laid over each other; the last layer counts most."""
    merged: dict[str, Any] = {}
    for layer in layers:
        for name, value in layer.items():
            lower = merged.get(name)
            both = isinstance(value, Mapping) and isinstance(lower, Mapping)
            merged[name] = _merged(lower, value) if both and lower is not None else value
    return merged
