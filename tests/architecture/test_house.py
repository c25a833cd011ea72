"""House rules that no linter knows."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

import app

ROOT = Path(__file__).parent.parent.parent
SOURCES = sorted([*(ROOT / "app").rglob("*.py"), *(ROOT / "deploy").rglob("*.py")])
TESTS = sorted((ROOT / "tests").rglob("test_*.py"))
MAX_FILE = 250
MAX_FUNCTION = 50


def functions(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Return every function in a file."""
    tree = ast.parse(path.read_text())
    return [
        node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_stay_livable(path: Path) -> None:
    """No file has more lines, and no function more than fits on a screen."""
    assert len(path.read_text().splitlines()) <= MAX_FILE
    for function in functions(path):
        assert (function.end_lineno or 0) - function.lineno < MAX_FUNCTION, function.name


@pytest.mark.parametrize("path", TESTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_test_says_in_a_sentence_what_holds(path: Path) -> None:
    """Its docstring is one sentence of behaviour, on one line or continued on the next."""
    for function in functions(path):
        if function.name.startswith("test_"):
            sentence = (ast.get_docstring(function) or "").partition("\n\n")[0]
            assert sentence.endswith("."), function.name


def test_emulators_and_service_know_nothing_of_each_other() -> None:
    """A mistake in our models must not hide in the fake."""
    for path in (ROOT / "deploy").rglob("*.py"):
        assert not re.search(r"^\s*(from|import) app\b", path.read_text(), re.MULTILINE), path
    for path in (ROOT / "app").rglob("*.py"):
        assert not re.search(
            r"^\s*(from|import) (emulators|demo)\b", path.read_text(), re.MULTILINE
        )


def test_nothing_runs_in_a_thread_for_every_request() -> None:
    """FastAPI calls plain functions in threads, so handlers and dependencies are none."""
    asked = functions(ROOT / "app" / "api" / "dependencies.py")
    for path in (ROOT / "app" / "api").glob("*.py"):
        asked += [
            one
            for one in functions(path)
            if any(ast.unparse(by).startswith("router.") for by in one.decorator_list)
        ]
    assert len(asked) > 6
    for function in asked:
        assert isinstance(function, ast.AsyncFunctionDef), function.name


def test_lock_files_hold_hashes_and_no_addresses() -> None:
    """Whoever installs decides where from; what is installed, the hashes decide."""
    for name in ("requirements.txt", "requirements-dev.txt", "benchmarks/requirements.txt"):
        text = (ROOT / name).read_text()
        assert "--hash=sha256:" in text
        assert not re.search(r"index-url|find-links|://", text)


def test_versions_agree() -> None:
    """The package, the project file and the changelog name one version."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == app.__version__
    assert f"[{app.__version__}]" in (ROOT / "CHANGELOG.md").read_text()
