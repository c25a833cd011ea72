"""Where things come from: packages, licences, and what runs on GitHub."""

import importlib.metadata
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.support.deployment import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
LOCKED = [
    Requirement(line)
    for line in re.findall(
        r"^([A-Za-z0-9._-]+==[^\\\n]+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE
    )
]


def command(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    """Run a command at the root of the repository."""
    return subprocess.run(
        arguments, check=False, cwd=ROOT, capture_output=True, text=True, timeout=60
    )


def test_the_list_of_materials_is_the_lock_file(tmp_path: Path) -> None:
    """`make sbom` writes valid CycloneDX with every locked package, its version and its hashes."""
    file = tmp_path / "sbom.json"
    ended = command("make", "--silent", "sbom", f"SBOM={file}")
    assert ended.returncode == 0, ended.stderr

    components = json.loads(file.read_text())["components"]

    listed = {(one["name"], f"=={one['version']}") for one in components}
    assert listed == {(one.name, str(one.specifier)) for one in LOCKED}
    assert all(one["externalReferences"][0]["hashes"] for one in components)
    assert all(one["purl"].startswith("pkg:pypi/") for one in components)


def test_every_runtime_package_has_a_licence_that_may_be() -> None:
    """`make licenses` looks at each package that this machine would run, and refuses none."""
    ended = command("make", "--silent", "licenses")
    assert ended.returncode == 0, ended.stderr

    looked_at = {
        line.split()[0].lower().replace("_", "-") for line in ended.stdout.splitlines()[1:]
    }
    here = {one.name.lower() for one in LOCKED if one.marker is None or one.marker.evaluate()}
    assert here <= looked_at


def test_a_licence_that_may_not_be_is_refused() -> None:
    """The same settings refuse a package whose licence is not spelt as one of those."""
    other = importlib.metadata.metadata("hypothesis")
    assert other["License-Expression"] == "MPL-2.0"
    ended = command(tool("pip-licenses"), "--packages", "hypothesis")

    assert ended.returncode == 1
    assert "not in allow-only" in ended.stderr


def test_workflows_are_sound() -> None:
    """zizmor, at its strictest, finds nothing, and none of its findings is silenced."""
    ended = command(
        tool("zizmor"),
        "--offline",
        "--persona=pedantic",
        "--strict-collection",
        "--quiet",
        ".github",
    )

    assert ended.returncode == 0, ended.stdout
    assert not any("zizmor:" in file.read_text() for file in WORKFLOWS)


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned_by_commit(workflow: Path) -> None:
    """Each names the commit, and beside it the version for people."""
    uses = re.findall(r"uses: (.*)", workflow.read_text())
    assert uses
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", one) for one in uses)


def test_ci_on_github_is_ci_anywhere() -> None:
    """The workflow runs .ci/run and no steps of its own beyond getting there."""
    text = (ROOT / ".github" / "workflows" / "ci.yml").read_text()
    commands = re.findall(r"run: (.*)", text)
    assert commands[-1].endswith(" .ci/run")
    assert all("apt-get" in one for one in commands[:-1])


def tool(name: str) -> Path:
    """Return a command that is installed beside this Python."""
    return Path(sys.executable).parent / name
