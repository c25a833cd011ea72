"""The settings in effect, and the source of each."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, SecretStr
from pydantic_core import to_jsonable_python

from . import Settings
from .config_file import holds
from .sources import variable

_MASK = "**********"


def effective(settings: Settings, sources: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Yield a line for each setting: its name in the environment, its value, and its source.

    Secrets are masked; a URL that can contain a password is a secret.

    Args:
        settings: what is in effect.
        sources: what each source gives, nested, by the source's name; the first counts most.
    """
    for name, value, source in _origins(settings, sources):
        yield f"{name}={_shown(value)}  # {source or 'default'}"


def given(settings: Settings, sources: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Yield a line for each setting that is not a default: its name and its source."""
    for name, _, source in _origins(settings, sources):
        if source is not None:
            yield f"{name}: from {source}"


def _origins(
    settings: Settings, sources: Mapping[str, Mapping[str, Any]]
) -> Iterator[tuple[str, object, str | None]]:
    for path, value in _leaves(settings, ()):
        source = next((name for name, values in sources.items() if holds(values, path)), None)
        yield variable(path), value, source


def _leaves(value: object, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], object]]:
    if isinstance(value, BaseModel):
        for name, below in value:
            yield from _leaves(below, (*path, name))
    elif isinstance(value, dict) and any(isinstance(one, BaseModel) for one in value.values()):
        for name, below in value.items():
            yield from _leaves(below, (*path, name))
    else:
        yield path, value


def _shown(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, SecretStr):
        return _MASK
    plain = to_jsonable_python(value)
    return plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False)
