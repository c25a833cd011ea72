"""The docs match the code."""

import ast
import re
import runpy
from pathlib import Path

import pytest

from app.api.problem_types import ALL
from app.apideck.collector import ApideckCollector
from app.identity.collector import JwksCollector
from app.observability.metrics import Metrics
from app.settings.faults import RENAMED
from app.settings.sources import load_settings, variable
from tests.support.tools import ROOT, name

SAMPLES = ROOT / "tests" / "support" / "samples.py"
FOLDERS = (ROOT / "docs", ROOT / "deploy")
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *(page for folder in FOLDERS for page in folder.rglob("*.md")),
        ROOT / "clients" / "javascript" / "README.md",
    ]
)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_relative_links_exist(page: Path) -> None:
    """Every relative link names an existing file."""
    for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_make_targets_exist(page: Path) -> None:
    """Every `make` command in the docs is a target of the Makefile."""
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"`make ([a-z0-9-]+)", page.read_text())) <= targets


def test_operations_lists_every_problem() -> None:
    """The slug of every problem type is in docs/operations.md."""
    page = (ROOT / "docs" / "operations.md").read_text()
    for problem in ALL:
        assert f"`{problem.slug}`" in page, problem.slug


def test_operations_lists_exactly_the_metrics_of_the_service() -> None:
    """The table of metrics has each metric of the code, with its labels, and no others."""
    page = (ROOT / "docs" / "operations.md").read_text()
    rows = re.findall(r"^\| `(vault_bff_\w+)` \| (.*?) ?\|", page, re.MULTILINE)
    registry = Metrics().registry
    registry.register(JwksCollector([]))
    registry.register(ApideckCollector({}))
    labels = {
        family.name + ("_total" if family.type == "counter" else ""): (
            # A collector of several metrics keeps the labels in each family.
            vars(collector if hasattr(collector, "_labelnames") else family)["_labelnames"]
        )
        for collector in registry._collector_to_names
        for family in collector.collect()
        if family.name.startswith("vault_bff_")  # prometheus_client adds the others.
    }
    assert {name: tuple(re.findall(r"`(\w+)`", cell)) for name, cell in rows} == labels
    assert len(rows) == len(labels)


def test_the_configuration_reference_is_current() -> None:
    """`make docs` would not change docs/configuration.md."""
    reference = runpy.run_path(str(ROOT / "docs" / "reference.py"))

    assert (ROOT / "docs" / "configuration.md").read_text() == reference["page"]()


def test_the_readme_is_short_and_starts_with_its_two_commands() -> None:
    """A new reader sees both commands without scrolling."""
    lines = (ROOT / "README.md").read_text().splitlines()
    assert len(lines) < 200
    assert {"make demo", "make test"} <= set(lines[:40])


@pytest.mark.parametrize(
    ("guide", "function", "folder"),
    [("frontend.md", "sample", "browser"), ("backend.md", "backend_sample", "e2e")],
)
def test_every_sample_of_a_guide_is_run_by_a_test(guide: str, function: str, folder: str) -> None:
    """A test names and runs every fenced block of the guide."""
    page = (ROOT / "docs" / guide).read_text()
    blocks: list[tuple[str, str]] = []
    heading, inside = "", False
    for line in page.splitlines():
        if line.startswith("## "):
            heading = line.removeprefix("## ")
        if line.lstrip().startswith(("```", "~~~")):
            inside = not inside
            blocks += [(heading, line.strip("`~ "))] if inside else []
    calls = [
        [ast.literal_eval(argument) for argument in node.args]
        for path in [*(ROOT / "tests" / folder).glob("*.py"), SAMPLES]
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == function
    ]
    named = {(call[0], call[1], *(call[2:] or [0])) for call in calls}
    assert {(*block, blocks[:i].count(block)) for i, block in enumerate(blocks)} == named


def test_upgrading_has_every_version_and_every_renamed_setting() -> None:
    """Each version in the changelog has a section, and each renamed setting a row."""
    page = (ROOT / "docs" / "upgrading.md").read_text()
    versions = re.findall(r"^## \[([\d.]+)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert re.findall(r"^## ([\d.]+)$", page, re.MULTILINE) == versions
    for old, new in RENAMED.items():
        row = f"| `{variable(old)}` | `{variable((*old[:-1], new))}` |"
        assert row in page, row


def test_images_are_small_and_used() -> None:
    """Every image is smaller than 150 kB and is shown on a page."""
    pages = "".join(path.read_text() for path in PAGES)
    for image in (ROOT / "docs" / "images").iterdir():
        assert image.stat().st_size < 150_000, image.name
        assert f"images/{image.name}" in pages, image.name


def test_configurations_in_the_docs_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every TOML sample loads once the API key and the app id are set."""
    monkeypatch.setenv("APIDECK__API_KEY", "sk_live_0123456789")
    monkeypatch.setenv("APIDECK__APP_ID", "app")
    for page in ("README.md", "docs/identity.md"):
        for sample in re.findall(r"```toml\n(.*?)```", (ROOT / page).read_text(), re.DOTALL):
            text = sample.replace('api_key_file = "/run/secrets/apideck"', "")
            text = text.replace('client_secret_file = "/run/secrets', 'client_secret = "')
            if ".introspection]" in text:
                text = '[identity.issuers.main]\nissuer="https://x.example"\naudience="x"\n' + text
            (tmp_path / "config.toml").write_text(text)
            monkeypatch.setenv("CONFIG_FILE", str(tmp_path / "config.toml"))
            assert load_settings().apideck.app_id


def test_every_threat_names_existing_tests() -> None:
    """Every row of the threat table names at least one test, and each of them exists."""
    page = (ROOT / "docs" / "security.md").read_text()
    section = page.partition("\n## Threats")[2].partition("\n## ")[0]
    head, _, *threats = [line for line in section.splitlines() if line.startswith("|")]
    assert head == "| threat | mitigation | test |"
    assert len(threats) > 20
    for threat in threats:
        cell = threat.split(" | ")[2]
        named = re.findall(r"`([\w/]+\.py)::(\w+)`", cell)
        assert named, threat
        for file, test in named:
            source = (ROOT / "tests" / file).read_text()
            assert re.search(rf"^(async )?def {test}\(", source, re.MULTILINE), (threat, test)
