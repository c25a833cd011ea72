"""Files that contributors, GitHub and package tools read."""

import ast
import importlib.metadata
import json
import os
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import app
from tests.support.tools import ROOT, run, tool

GITHUB = ROOT / ".github"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CLIENT = json.loads((ROOT / "clients" / "javascript" / "package.json").read_text())
LOCK_FILES = (
    "requirements.txt",
    "requirements-dev.txt",
    "benchmarks/requirements.txt",
    "tests/support/canaille/requirements.txt",
)
EXCLUDED_FOLDERS = {".git", ".venv", "mutants", "node_modules"}
# The file of each ecosystem that Dependabot updates.
MANIFESTS = {
    "docker": "Dockerfile",
    "docker-compose": "docker-compose.yml",
    "npm": "package-lock.json",
    "pip": "requirements.txt",
}


def folders_with(manifest: str) -> set[str]:
    """Return the folders that contain this file, in Dependabot's notation."""
    found = []
    for folder, below, files in os.walk(ROOT):
        below[:] = [name for name in below if name not in EXCLUDED_FOLDERS]
        if manifest in files:
            found.append(Path(folder).relative_to(ROOT))
    return {f"/{folder}".rstrip(".") for folder in found}


def updates() -> dict[str, dict[str, Any]]:
    """Return Dependabot's configuration by ecosystem."""
    configuration = yaml.safe_load((GITHUB / "dependabot.yml").read_text())
    return {update["package-ecosystem"]: update for update in configuration["updates"]}


@pytest.mark.parametrize("name", LOCK_FILES)
def test_lock_files_have_hashes_and_no_urls(name: str) -> None:
    """Hashes pin the packages; the configuration of the machine selects the index."""
    text = (ROOT / name).read_text()
    assert "--hash=sha256:" in text
    assert not re.search(r"index-url|find-links|://", text)


def test_versions_agree() -> None:
    """The package, the project file and the changelog have the same version."""
    assert PROJECT["version"] == app.__version__
    assert f"[{app.__version__}]" in (ROOT / "CHANGELOG.md").read_text()
    assert CLIENT["version"] == app.__version__


def test_the_npm_package_has_the_license_of_the_project() -> None:
    """The command `npm pack` adds no file from outside the folder, so the folder has a copy."""
    copy = ROOT / "clients" / "javascript" / "LICENSE"
    assert copy.read_text() == (ROOT / "LICENSE").read_text()
    assert CLIENT["license"] == PROJECT["license"]


def test_npm_lock_files_have_hashes_and_no_urls_of_packages() -> None:
    """Hashes pin the packages; the configuration of the machine selects the registry."""
    for folder in folders_with("package-lock.json"):
        packages = json.loads((ROOT / folder[1:] / "package-lock.json").read_text())["packages"]
        for path, package in packages.items():
            assert "resolved" not in package, (folder, path)
            assert "integrity" in package or path == "", (folder, path)


def test_every_imported_package_is_declared() -> None:
    """The wheel declares each package that the code imports, and no other."""
    declared = {canonicalize_name(Requirement(line).name) for line in PROJECT["dependencies"]}
    imported = set()
    for path in (ROOT / "app").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                imported.add(str(node.module).partition(".")[0])
    providers = importlib.metadata.packages_distributions()
    used = [
        {canonicalize_name(package) for package in providers[name]}
        for name in imported - set(sys.stdlib_module_names)
    ]

    assert all(packages & declared for packages in used), used
    # The interactive page serves the files of fastapi-offline and does not import it.
    assert declared - {"fastapi-offline"} <= set().union(*used)


@pytest.mark.parametrize(
    ("schema", "files"),
    [
        ("dependabot", ["dependabot.yml"]),
        ("github-workflows", ["workflows/ci.yml", "workflows/release.yml"]),
        ("github-issue-config", ["ISSUE_TEMPLATE/config.yml"]),
        (
            "github-issue-forms",
            ["ISSUE_TEMPLATE/bug_report.yml", "ISSUE_TEMPLATE/feature_request.yml"],
        ),
    ],
)
def test_files_for_github_match_their_schemas(schema: str, files: list[str]) -> None:
    """GitHub ignores a form or configuration that breaks its schema, so this test checks them."""
    ended = run(
        tool("check-jsonschema"),
        f"--builtin-schema=vendor.{schema}",
        *(GITHUB / name for name in files),
    )
    assert ended.returncode == 0, ended.stdout


def test_every_file_for_github_is_checked() -> None:
    """The test above names every YAML file in .github."""
    source = Path(__file__).read_text()
    for path in GITHUB.rglob("*.yml"):
        assert f'"{path.relative_to(GITHUB)}"' in source, path


def test_the_commit_hooks_run_installed_tools() -> None:
    """The configuration of pre-commit is valid, and each hook runs a tool that `.venv` has."""
    assert run(tool("pre-commit"), "validate-config").returncode == 0
    [repository] = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert repository["repo"] == "local"
    for hook in repository["hooks"]:
        path = Path(hook["entry"].split()[0])
        assert (path.parent, hook["language"]) == (Path(".venv/bin"), "system")
        assert tool(path.name).exists(), path


@pytest.mark.parametrize(("ecosystem", "manifest"), MANIFESTS.items())
def test_dependabot_updates_every_manifest(ecosystem: str, manifest: str) -> None:
    """Dependabot's configuration names each folder with a lock file, Dockerfile or compose file."""
    update = updates()[ecosystem]
    named = update.get("directories") or [update["directory"]]
    assert set(named) == folders_with(manifest)


def test_dependabot_can_read_the_base_image() -> None:
    """Dependabot skips a FROM line with a variable, so each Dockerfile names its base image."""
    for path in (ROOT / "Dockerfile", ROOT / "deploy" / "local" / "Dockerfile"):
        bases = re.findall(r"^FROM (\S+)", path.read_text(), re.MULTILINE)
        assert re.fullmatch(r"python:\d+\.\d+\.\d+-[\w-]+", bases[0]), path


def test_ci_runs_on_every_supported_python() -> None:
    """CI's first Python is the oldest that the project supports, and CI skips no later version."""
    workflow = yaml.safe_load((GITHUB / "workflows" / "ci.yml").read_text())
    versions = workflow["jobs"]["ci"]["strategy"]["matrix"]["python"]
    minors = [int(version.removeprefix("3.")) for version in versions]
    assert PROJECT["requires-python"] == f">={versions[0]}"
    assert minors == list(range(minors[0], minors[-1] + 1))
