"""Helpers that read the files under deploy/ as the tools read them."""

import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel

from app.settings import Settings
from tests.support.tools import program

ROOT = Path(__file__).parent.parent.parent
KUBERNETES = ROOT / "deploy" / "kubernetes"
OVERLAYS = tuple(sorted(path.name for path in (KUBERNETES / "overlays").iterdir()))
CONFIG_FILE = "CONFIG_FILE"

Json = dict[str, Any]


@dataclass(frozen=True)
class Image:
    """The defaults of containers that run the image."""

    user: int
    port: int
    environment: Mapping[str, str]
    entrypoint: str


def image(file: str = "Dockerfile") -> Image:
    """Return the defaults that the last stage of a Dockerfile sets."""
    text = re.sub(r"\\\n", " ", (ROOT / file).read_text())
    stage = text.rpartition("\nFROM ")[2]
    instructions = dict(re.findall(r"^([A-Z]+) (.*)$", stage, re.MULTILINE))
    pairs = [pair.partition("=") for pair in shlex.split(instructions["ENV"])]
    return Image(
        user=int(instructions["USER"].partition(":")[0]),
        port=int(instructions["EXPOSE"].split()[0]),
        environment={name: value for name, _, value in pairs},
        entrypoint=instructions["ENTRYPOINT"],
    )


def compose() -> Json:
    """Return the compose file, with its anchors and merges resolved."""
    return dict(yaml.safe_load((ROOT / "docker-compose.yml").read_text()))


def renderer() -> list[str]:
    """Return the installed command that renders a kustomization, or an empty list."""
    if kustomize := program("kustomize"):
        return [kustomize, "build"]
    kubectl = program("kubectl")
    return [kubectl, "kustomize"] if kubectl else []


def patches_from_files() -> bool:
    """Tell whether the installed kubectl can read a patch from a file."""
    kubectl = program("kubectl")
    if not kubectl:
        return False
    command = [kubectl, "patch", "--help"]
    return (
        "--patch-file" in subprocess.run(command, check=True, capture_output=True, text=True).stdout
    )


def render(folder: Path) -> list[Json]:
    """Return the manifests of a kustomization, as `kubectl apply -k` would send them."""
    ended = subprocess.run(
        [*renderer(), str(folder)],
        check=False,
        capture_output=True,
        text=True,
        timeout=30,
    )
    # Warnings about deprecated fields are on stderr.
    assert (ended.returncode, ended.stderr) == (0, "")
    return list(yaml.safe_load_all(ended.stdout))


def with_components(folder: Path, *names: str) -> Path:
    """Return a copy of the production overlay with additional components."""
    copy = folder / "kubernetes"
    shutil.copytree(KUBERNETES, copy)
    overlay = copy / "overlays" / "production"
    file = overlay / "kustomization.yaml"
    content = yaml.safe_load(file.read_text())
    content["components"] += [f"../../components/{name}" for name in names]
    file.write_text(yaml.safe_dump(content))
    return overlay


def of_kind(manifests: list[Json], kind: str) -> Json:
    """Return the only manifest of a kind."""
    [found] = [manifest for manifest in manifests if manifest["kind"] == kind]
    return found


def container_of(manifests: list[Json]) -> Json:
    """Return the only container of the Deployment."""
    [container] = of_kind(manifests, "Deployment")["spec"]["template"]["spec"]["containers"]
    return dict(container)


def unknown_settings(names: Iterator[str] | list[str]) -> list[str]:
    """Return the names that look like settings but are not."""
    return [name for name in names if "__" in name and not _is_setting(name)]


def _is_setting(name: str) -> bool:
    group: Any = Settings
    for part in name.lower().split("__"):
        if group is None:
            return False
        if isinstance(group, type) and issubclass(group, BaseModel):
            if part not in group.model_fields:
                return False
            group = _inner(group.model_fields[part].annotation)
        else:  # A table with names that the operator chooses.
            group = group[0]
    return True


def _inner(annotation: Any) -> Any:
    """Return the settings group of a field's type, in a list for a table of such groups."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    groups = [group for argument in get_args(annotation) if (group := _inner(argument)) is not None]
    if not groups:
        return None
    return groups if "dict" in str(annotation) else groups[0]
