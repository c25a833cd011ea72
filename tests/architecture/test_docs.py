"""Docs that would mislead are worse than none."""

import ast
import re
import runpy
from pathlib import Path

import pytest

from app.api.problem_types import ALL
from app.observability.collectors import ApideckCollector, JwksCollector
from app.observability.metrics import Metrics
from app.settings.sources import load_settings

ROOT = Path(__file__).parent.parent.parent
SAMPLES = ROOT / "tests" / "support" / "samples.py"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "deploy/README.md"])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link names a file that is there."""
    for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_make_target_that_is_named_exists(page: Path) -> None:
    """A command in the docs can be run."""
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"`make ([a-z0-9-]+)", page.read_text())) <= targets


def test_operations_explains_every_problem() -> None:
    """Whoever meets a problem at night finds its name."""
    page = (ROOT / "docs" / "operations.md").read_text()
    for problem in ALL:
        assert f"`{problem.slug}`" in page, problem.slug


def test_operations_knows_every_metric_with_its_labels_and_no_other() -> None:
    """The dictionary of metrics is what the code has, each with the labels that it has there."""
    page = (ROOT / "docs" / "operations.md").read_text()
    rows = re.findall(r"^\| `(vault_bff_\w+)` \| (.*?) ?\|", page, re.MULTILINE)
    registry = Metrics().registry
    registry.register(JwksCollector(dict))
    registry.register(ApideckCollector(dict))
    labels = {
        family.name + ("_total" if family.type == "counter" else ""): (
            # A collector of several leaves them to each family.
            vars(collector if hasattr(collector, "_labelnames") else family)["_labelnames"]
        )
        for collector in registry._collector_to_names
        for family in collector.collect()
    }
    assert {name: tuple(re.findall(r"`(\w+)`", cell)) for name, cell in rows} == labels
    assert len(rows) == len(labels)


def test_the_configuration_reference_is_what_the_settings_say() -> None:
    """`make docs` would write the very same page."""
    reference = runpy.run_path(str(ROOT / "docs" / "reference.py"))

    assert (ROOT / "docs" / "configuration.md").read_text() == reference["page"]()


def test_the_readme_is_short_and_begins_with_its_two_commands() -> None:
    """A newcomer sees both without scrolling."""
    lines = (ROOT / "README.md").read_text().splitlines()
    assert len(lines) < 200
    assert {"make demo", "make test"} <= set(lines[:40])


def test_every_sample_for_frontends_is_executed_by_a_test() -> None:
    """A new fenced block in docs/frontend.md has no test until one names it."""
    page = (ROOT / "docs" / "frontend.md").read_text()
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
        for path in [*(ROOT / "tests" / "browser").glob("*.py"), SAMPLES]
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "sample"
    ]
    named = {(call[0], call[1], *(call[2:] or [0])) for call in calls}
    assert {(*block, blocks[:i].count(block)) for i, block in enumerate(blocks)} == named


def test_pictures_are_small_and_shown() -> None:
    """Nobody waits for one, and none is kept that no page shows."""
    pages = "".join(path.read_text() for path in PAGES)
    for picture in (ROOT / "docs" / "images").iterdir():
        assert picture.stat().st_size < 100_000, picture.name
        assert f"images/{picture.name}" in pages, picture.name


def test_configurations_in_the_docs_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every TOML sample is a whole configuration once the key and the app id are there."""
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


def test_every_threat_points_to_tests_that_exist() -> None:
    """A threat whose test was renamed or removed is not held by anything that we know of."""
    page = (ROOT / "docs" / "security.md").read_text()
    section = page.partition("\n## Threats")[2].partition("\n## ")[0]
    head, _, *threats = [line for line in section.splitlines() if line.startswith("|")]
    assert head == "| threat | what holds it | test |"
    assert len(threats) > 20
    for threat in threats:
        cell = threat.split(" | ")[2]
        named = re.findall(r"`([\w/]+\.py)::(\w+)`", cell)
        assert named, threat
        for file, test in named:
            source = (ROOT / "tests" / file).read_text()
            assert re.search(rf"^(async )?def {test}\(", source, re.MULTILINE), (threat, test)
