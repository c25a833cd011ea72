"""What the settings come to, and where each of them is from."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, SecretStr
from pydantic_core import to_jsonable_python

from app.settings import Settings

_MASK = "**********"


def effective(settings: Settings, sources: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Yield a line for each setting: its name in the environment, its value, where that is from.

    Secrets are masked; a URL that may hold a password is one.

    Args:
        settings: what is in effect.
        sources: what each source gave, nested, by the source's name; the first one counts most.
    """
    for path, value in _leaves(settings, ()):
        origin = next((name for name, given in sources.items() if _has(given, path)), "default")
        yield f"{'__'.join(path).upper()}={_shown(value)}  # {origin}"


def _leaves(value: object, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], object]]:
    if isinstance(value, BaseModel):
        for name, below in value:
            yield from _leaves(below, (*path, name))
    elif isinstance(value, dict) and any(isinstance(one, BaseModel) for one in value.values()):
        for name, below in value.items():
            yield from _leaves(below, (*path, name))
    else:
        yield path, value


def _has(given: object, path: tuple[str, ...]) -> bool:
    for name in path:
        if not isinstance(given, Mapping) or name not in given:
            return False
        given = given[name]
    return True


def _shown(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, SecretStr):
        return _MASK
    plain = to_jsonable_python(value)
    return plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False)
