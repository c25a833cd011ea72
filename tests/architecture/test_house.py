"""House rules that no linter knows."""

import ast
import importlib
import inspect
import pkgutil
import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

import app
import app.api

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


def api_routes() -> Iterator[APIRoute]:
    """Yield every route of the routers in `app/api`."""
    for module in pkgutil.iter_modules(app.api.__path__, "app.api."):
        router = getattr(importlib.import_module(module.name), "router", None)
        if router is not None:
            yield from router.routes


def dependencies(dependant: Dependant) -> Iterator[Callable[..., Any]]:
    """Yield an endpoint and all its dependencies."""
    assert dependant.call is not None
    yield dependant.call
    for one in dependant.dependencies:
        yield from dependencies(one)


def test_no_endpoint_runs_in_a_thread() -> None:
    """FastAPI calls plain functions in threads, so endpoints and dependencies are coroutines."""
    called = {one for route in api_routes() for one in dependencies(route.dependant)}

    assert len(called) > 6
    for one in called:
        is_function = inspect.isroutine(one)
        assert inspect.iscoroutinefunction(one if is_function else type(one).__call__), one


def test_no_endpoint_declares_a_body() -> None:
    """FastAPI reads a declared body before it authenticates the caller; `JsonBody` does not."""
    assert [route.path for route in api_routes() if route.body_field is not None] == []


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
