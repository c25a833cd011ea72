from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from app.settings import Settings
from app.settings.faults import FORMS, RENAMED, faults_of
from app.settings.schema import ANY, below


def patterns(schema: Any) -> Iterator[str]:
    """Yield every pattern in a JSON schema."""
    if isinstance(schema, list):
        for item in schema:
            yield from patterns(item)
    if isinstance(schema, dict):
        yield from schema.get("patternProperties", ())
        for name, item in schema.items():
            if name == "pattern" and isinstance(item, str):
                yield item
            yield from patterns(item)


def test_every_pattern_has_a_description() -> None:
    """Operators never see a regular expression, and every description is used."""
    assert set(patterns(Settings.model_json_schema())) == set(FORMS)


def test_renamed_settings_exist_only_under_their_new_names() -> None:
    """Each old name refers to an existing setting."""
    for old, name in RENAMED.items():
        path = tuple("x" if part == ANY else part for part in old)
        assert not _known(path, Settings)
        assert _known((*path[:-1], name), Settings)


class PathPlaces:
    """Shows the place of a setting as its path."""

    def place(self, path: tuple[str, ...]) -> str:
        """Return the path."""
        return ".".join(path)

    def spelling(self, path: tuple[str, ...], like: tuple[str, ...]) -> str:
        """Return both paths."""
        return f"{self.place(path)} ({self.place(like)})"


def test_a_fault_without_a_description_still_names_the_setting() -> None:
    """A library can add new kinds of faults; its messages could quote a value."""

    class Other(BaseModel):
        limits: complex

    with pytest.raises(ValidationError) as error:
        Other.model_validate({"limits": "secret"})

    assert list(faults_of(error.value, PathPlaces())) == ["limits: is not valid"]


def _known(path: tuple[str, ...], annotation: Any) -> bool:
    """Return whether a path names a setting or a group."""
    for name in path:
        names = below(annotation)
        annotation = names.get(name, names.get(ANY))
        if annotation is None:
            return False
    return True
