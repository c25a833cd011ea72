"""The supply chain: packages, licences, Dockerfiles, and workflows on GitHub."""

import importlib.metadata
import json
import re
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from tests.support.tools import ROOT, run, tool

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
LOCKED = [
    Requirement(line)
    for line in re.findall(
        r"^([A-Za-z0-9._-]+==[^\\\n]+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE
    )
]


def test_the_sbom_matches_the_lock_file(tmp_path: Path) -> None:
    """`make sbom` writes valid CycloneDX with every locked package, its version and its hashes."""
    file = tmp_path / "sbom.json"
    ended = run("make", "--silent", "sbom", f"SBOM={file}")
    assert ended.returncode == 0, ended.stderr

    components = json.loads(file.read_text())["components"]

    listed = {(one["name"], f"=={one['version']}") for one in components}
    assert listed == {(one.name, str(one.specifier)) for one in LOCKED}
    assert all(one["externalReferences"][0]["hashes"] for one in components)
    assert all(one["purl"].startswith("pkg:pypi/") for one in components)


def test_every_runtime_package_has_an_allowed_licence() -> None:
    """`make licenses` checks and accepts each package that is installed on this platform."""
    ended = run("make", "--silent", "licenses")
    assert ended.returncode == 0, ended.stderr

    checked = {line.split()[0].lower().replace("_", "-") for line in ended.stdout.splitlines()[1:]}
    needed = {one.name.lower() for one in LOCKED if one.marker is None or one.marker.evaluate()}
    assert needed <= checked


def test_a_licence_that_is_not_allowed_is_rejected() -> None:
    """The settings of `make licenses` reject a package with another licence."""
    other = importlib.metadata.metadata("hypothesis")
    assert other["License-Expression"] == "MPL-2.0"
    ended = run(tool("pip-licenses"), "--packages", "hypothesis")

    assert ended.returncode == 1
    assert "not in allow-only" in ended.stderr


@pytest.mark.parametrize("file", ["Dockerfile", "deploy/local/Dockerfile"])
def test_the_dockerfiles_pass_the_linter(file: str) -> None:
    """Hadolint has no findings, and no rule is disabled."""
    ended = run(tool("hadolint"), file)

    assert (ended.returncode, ended.stdout) == (0, "")
    assert "hadolint ignore" not in (ROOT / file).read_text()


def test_workflows_pass_the_security_linter() -> None:
    """Zizmor has no findings with its strictest rules, and no rule is disabled."""
    ended = run(
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
    """Each action is pinned by commit with its version in a comment, except local workflows."""
    uses = re.findall(r"uses: (?!\$/)(.*)", workflow.read_text())
    assert uses
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", one) for one in uses)


def test_ci_on_github_runs_the_same_script() -> None:
    """The workflow runs .ci/run, and has no other steps except its preparation."""
    text = (ROOT / ".github" / "workflows" / "ci.yml").read_text()
    commands = re.findall(r"run: (.*)", text)
    assert commands[-1].endswith(" .ci/run")
    assert all("apt-get" in one for one in commands[:-1])


def test_the_audit_fails_if_a_package_cannot_be_looked_up() -> None:
    """`make audit` uses `--strict`, because pip-audit succeeds by default if it skips a package."""
    assert re.search(r"pip-audit@[0-9.]+ --strict ", (ROOT / "Makefile").read_text())


def test_a_release_is_built_only_after_ci_and_the_audit() -> None:
    """Every job that can sign or push runs after .ci/run and the audit for vulnerabilities."""
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "release.yml").read_text())["jobs"]
    assert jobs["ci"]["uses"] == "$/.github/workflows/ci.yml"
    assert jobs["audit"]["steps"][-1] == {"run": "make audit"}
    before: dict[str, set[str]] = {}
    for name, job in jobs.items():  # In the file, a job follows the jobs that it needs.
        needs = job.get("needs", [])
        needs = {needs} if isinstance(needs, str) else set(needs)
        before[name] = needs.union(*(before[one] for one in needs))
        if "id-token" in job["permissions"]:
            assert before[name] >= {"ci", "audit"}, name
