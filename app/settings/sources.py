"""Where settings come from: the environment, over one TOML file."""

import os
from pathlib import Path
from typing import Any, ClassVar

from pydantic import ValidationError
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from app.errors import ConfigurationError
from app.settings import Settings

CONFIG_FILE = "CONFIG_FILE"
"""The environment variable that names the TOML file."""


class _Sources(BaseSettings, Settings):
    """The same settings, filled from outside."""

    model_config: ClassVar[SettingsConfigDict] = SettingsConfigDict(env_nested_delimiter="__")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the signature is the library's
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        file = os.environ.get(CONFIG_FILE)
        if not file:
            return (env_settings,)
        return env_settings, TomlConfigSettingsSource(settings_cls, Path(file))


def load_settings() -> Settings:
    """Read the settings from the environment and from the file that `CONFIG_FILE` names.

    Raises:
        ConfigurationError: with one line for each fault, naming the setting, never its value.
    """
    file = os.environ.get(CONFIG_FILE)
    if file and not Path(file).is_file():
        raise ConfigurationError([f"{CONFIG_FILE}: there is no such file"])
    try:
        return _Sources()
    except ValidationError as error:
        raise ConfigurationError(
            f"{_name(fault['loc'])}: {fault['msg'].removeprefix('Value error, ')}"
            for fault in error.errors(include_url=False, include_context=False, include_input=False)
        ) from None
    except RecursionError:
        raise ConfigurationError(["settings cannot be read: nested too deeply"]) from None
    except (SettingsError, ValueError) as error:
        raise ConfigurationError([f"settings cannot be read: {error}"]) from None


def given() -> dict[str, dict[str, Any]]:
    """Return what each source gives, nested, by the source's name; the first one counts most."""
    sources = {"environment": EnvSettingsSource(_Sources)()}
    if file := os.environ.get(CONFIG_FILE):
        sources["file"] = TomlConfigSettingsSource(_Sources, Path(file))()
    return sources


def _name(location: tuple[int | str, ...]) -> str:
    return "__".join(str(part) for part in location).upper() or "settings"
