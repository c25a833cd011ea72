"""The tree of settings: what can be set, by which name, and what a text stands for."""

import difflib
from collections.abc import Iterator, Mapping
from types import UnionType
from typing import Annotated, Any, Final, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel
from typing_extensions import is_typeddict

from ..common import strict_json

ANY: Final = "*"
"""Stands for a name that the operator chooses."""

_CLOSE = 0.75


def below(annotation: Any) -> Mapping[str, Any]:
    """Return the annotations of the settings in a group or table, by name; none of a value."""
    for one in _alternatives(annotation):
        if get_origin(one) is dict:
            return {ANY: get_args(one)[1]}
        if is_typeddict(one):
            return get_type_hints(one, include_extras=True)
        if _is_group(one):
            return {name: field.annotation for name, field in one.model_fields.items()}
    return {}


def settings_in(annotation: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the path of every setting in a group; `ANY` stands for a name of the operator's."""
    names = below(annotation)
    if not names:
        yield path
    for name, inner in names.items():
        yield from settings_in(inner, (*path, name))


def nearest(path: tuple[str, ...], annotation: Any) -> tuple[str, ...] | None:
    """Return the setting whose path is most like this one; None if there is none like it."""
    if not path:
        return ()
    names = below(annotation)
    if ANY in names:
        name, chosen = path[0], names[ANY]
    else:
        close = difflib.get_close_matches(path[0], names, n=1, cutoff=_CLOSE)
        if not close:
            return None
        name, chosen = close[0], names[close[0]]
    rest = nearest(path[1:], chosen)
    return None if rest is None else (name, *rest)


def decoded(value: Any, annotation: Any) -> Any:
    """Return what a text stands for, where a list or a table is wanted; anything else as it is.

    A list can be one value, several that are separated by commas, or JSON. A table is JSON. A group
    is left as it is, because it decodes its own settings.

    Raises:
        ValueError: the text is neither; it is not quoted.
    """
    if isinstance(value, str):
        return _decoded_text(value, annotation)
    if not isinstance(value, Mapping) or any(map(_is_group, _alternatives(annotation))):
        return value
    names = below(annotation)
    return {name: decoded(item, names.get(name, names.get(ANY))) for name, item in value.items()}


def _decoded_text(value: str, annotation: Any) -> Any:
    text = value.strip()
    kinds = _alternatives(annotation)
    if any(get_origin(kind) in {list, tuple} for kind in kinds):
        if text.startswith("["):
            return _from_json(text, "must be one value, several separated by commas, or JSON")
        parts = [part for one in text.split(",") if (part := one.strip())]
        return text if str in kinds and len(parts) < 2 else parts  # noqa: PLR2004
    if below(annotation):
        return decoded(_from_json(text, "must be a table, or a JSON object"), annotation)
    return value


def _is_group(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _from_json(text: str, expected: str) -> Any:
    try:
        value = strict_json.loads(text.encode())
    except (ValueError, RecursionError):
        raise ValueError(expected) from None
    if not isinstance(value, dict | list):
        raise ValueError(expected)  # noqa: TRY004 - pydantic reports value errors
    return value


def _alternatives(annotation: Any) -> list[Any]:
    """Return the members of a union, or the annotation by itself, without metadata."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _alternatives(arguments[0])
    if origin in {Union, UnionType}:
        return [one for argument in arguments for one in _alternatives(argument)]
    return [annotation]
