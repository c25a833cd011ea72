"""Writes docs/configuration.md and docs/openapi.json from the code itself: `make docs`."""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from typing_extensions import is_typeddict

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from app.main import create_app  # noqa: E402 - the repository has to be on the path first
from app.settings import Settings  # noqa: E402 - likewise

PAGE = ROOT / "docs" / "configuration.md"
OPENAPI = ROOT / "docs" / "openapi.json"
HEAD = """# Configuration

<!-- Written by `make docs` from the settings themselves; a test keeps it current. -->

Every setting can stand in the environment, under the name given here, or in the TOML file that
`CONFIG_FILE` names, where a double underscore is a dot: `SERVER__PORT=9000` is `port = 9000` under
`[server]`. The environment goes over the file. `<name>` is a name of your own, in lower case.
Lists and tables in the environment are JSON. A setting that is wrong or unknown stops the start,
with one line for each fault; `python -m app check` tells the same without starting.
"""


def page() -> str:
    """Return the whole page."""
    return HEAD + "".join(section for section in sections(Settings, ""))


def sections(group: type[BaseModel], prefix: str) -> Iterator[str]:
    """Yield a section for each group of settings, outer ones first."""
    for name, field in group.model_fields.items():
        inner = group_of(field.annotation)
        if inner is None:
            continue
        many = "dict" in str(field.annotation)
        full = f"{prefix}{name.upper()}__" + ("<name>__" if many else "")
        yield f"\n## `{full}…`\n\n{prose(inner.__doc__)}\n\n{table(inner, full)}"
        yield from sections(inner, full)


def table(group: type[BaseModel], prefix: str) -> str:
    """Return a table of the settings of one group."""
    rows = ["| setting | default | meaning |", "| --- | --- | --- |"]
    for name, field in group.model_fields.items():
        if group_of(field.annotation) is None:
            rows.append(
                f"| `{prefix}{name.upper()}` | {default(field)} | {prose(meaning(field))} |"
            )
    return "\n".join(rows) + "\n" if len(rows) > 2 else ""


def meaning(field: FieldInfo) -> str:
    """Return what a setting is for, with the fields of a table of Apideck's."""
    text = field.description or ""
    if not is_typeddict(field.annotation):
        return text
    keys = field.annotation.__annotations__  # type: ignore[union-attr]  # a TypedDict has them
    return f"{text} Its fields: {', '.join(f'`{key}`' for key in keys)}."


def default(field: FieldInfo) -> str:
    """Return a setting's default as the environment would write it."""
    value: Any = field.get_default(call_default_factory=True, validated_data={})
    if value is PydanticUndefined:
        return "**required**"
    if value is None or value in ((), {}, ""):
        return "none"
    if isinstance(value, SecretStr):
        value = value.get_secret_value()  # A default is no secret.
    shown = ", ".join(value) if isinstance(value, tuple) else str(value)
    return f"`{shown.lower() if isinstance(value, bool) else shown}`"


def group_of(annotation: Any) -> type[BaseModel] | None:
    """Return the group of settings that an annotation stands for, if it is one or has one."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for one in get_args(annotation) if (found := group_of(one))), None)


def prose(text: str | None) -> str:
    """Return a docstring on one line."""
    return re.sub(r"\s+", " ", text or "").strip().replace("|", "\\|")


def openapi() -> str:
    """Return the OpenAPI document of a service with the smallest configuration."""
    issuer = {"issuer": "https://login.example.com", "audience": "vault-bff"}
    settings = Settings.model_validate(
        {
            "apideck": {"api_key": "sk_live_0123456789", "app_id": "app"},
            "identity": {"issuers": {"main": issuer}},
        }
    )
    return json.dumps(create_app(settings).openapi(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
    OPENAPI.write_text(openapi())
