"""Rules for the code that no linter checks."""

import ast
import re
from http import HTTPStatus
from pathlib import Path

import pytest

from tests.support.tools import ROOT, name

APP = sorted((ROOT / "app").rglob("*.py"))
SOURCES = sorted([*APP, *(ROOT / "deploy").rglob("*.py")])
MAX_FILE_LINES = 250
MAX_FUNCTION_LINES = 50

# Packages that may use private attributes of other libraries; tests there pin those attributes.
PRIVATE_ACCESS = ("app/server/", "app/common/transport.py")
# These numbers are also common counts and durations, so a literal is no sign of a status code.
ROUND_NUMBERS = frozenset({100, 200, 300})


def functions(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Return every function in a file."""
    tree = ast.parse(path.read_text())
    return [
        node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]


def imported_packages(path: Path) -> set[str]:
    """Return the top-level packages that a file imports."""
    modules: list[str] = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            modules += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            modules.append(node.module or "")
    return {module.partition(".")[0] for module in modules}


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_files_and_functions_are_short(path: Path) -> None:
    """A file has at most 250 lines, and a function at most 50."""
    assert len(path.read_text().splitlines()) <= MAX_FILE_LINES
    for function in functions(path):
        lines = (function.end_lineno or 0) - function.lineno + 1
        assert lines <= MAX_FUNCTION_LINES, function.name


def test_emulators_and_service_do_not_import_each_other() -> None:
    """The emulators share no code with the service, so they cannot repeat its mistakes."""
    for path in (ROOT / "deploy").rglob("*.py"):
        assert "app" not in imported_packages(path), path
    for path in APP:
        assert imported_packages(path).isdisjoint({"emulators", "demo"}), path


def test_only_the_server_package_imports_uvicorn() -> None:
    """Every other package runs under any ASGI server."""
    importers = {name(path) for path in APP if "uvicorn" in imported_packages(path)}
    assert {path for path in importers if not path.startswith("app/server/")} == set()


def test_every_transport_receives_the_egress_proxy() -> None:
    """No client of another host bypasses the proxy that the operator has configured."""
    calls = [
        node
        for path in APP
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "AiohttpTransport"
    ]
    assert calls
    assert all("proxy" in {keyword.arg for keyword in call.keywords} for call in calls)


def test_private_attributes_of_libraries_are_used_in_two_packages_only() -> None:
    """Only the server package and the HTTP transport silence ruff's rule about private members."""
    silenced = {name(path) for path in APP if "SLF001" in path.read_text()}
    assert {path for path in silenced if not path.startswith(PRIVATE_ACCESS)} == set()


def test_status_codes_are_written_as_http_status() -> None:
    """A status code in the service is `http.HTTPStatus.X`, not a number."""
    numbers = {int(status) for status in HTTPStatus} - ROUND_NUMBERS
    literals = {
        name(path)
        for path in APP
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and type(node.value) is int and node.value in numbers
    }
    assert literals == set()


def test_the_environment_is_read_in_settings_only() -> None:
    """No other package reads environment variables, so tests can pass every setting."""
    reads = {name(path) for path in APP if re.search(r"\bos\.(environ|getenv)", path.read_text())}
    assert {path for path in reads if not path.startswith("app/settings/")} == set()
