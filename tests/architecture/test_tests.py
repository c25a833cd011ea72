"""Rules for the tests themselves."""

import ast
from pathlib import Path

import pytest

from tests.support.tools import ROOT, name

TESTS = sorted((ROOT / "tests").rglob("test_*.py"))
UNIT_TESTS = sorted((ROOT / "tests" / "unit").rglob("test_*.py"))

# Tests of private attributes of a library, which fail when a new version changes them.
PINS = frozenset({"tests/unit/server/test_uvicorn.py"})


def is_mirrored(path: Path) -> bool:
    """Return whether the path of a unit test mirrors the path of its module in app/.

    `test_jwks.py` and `test_jwks_rotation.py` both test the module `jwks`.
    """
    folder = ROOT / "app" / path.parent.relative_to(ROOT / "tests" / "unit")
    tested = path.stem.removeprefix("test_")
    modules = [entry.stem for entry in folder.glob("*") if not entry.stem.startswith("__")]
    return any(tested == module or tested.startswith(f"{module}_") for module in modules)


@pytest.mark.parametrize("path", TESTS, ids=name)
def test_every_test_has_a_sentence_as_its_docstring(path: Path) -> None:
    """The docstring of a test states in one sentence what the service does."""
    for function in ast.walk(ast.parse(path.read_text())):
        if isinstance(
            function, ast.FunctionDef | ast.AsyncFunctionDef
        ) and function.name.startswith("test_"):
            sentence = (ast.get_docstring(function) or "").partition("\n\n")[0]
            assert sentence.endswith("."), function.name


@pytest.mark.parametrize("path", UNIT_TESTS, ids=name)
def test_unit_tests_mirror_the_service(path: Path) -> None:
    """`tests/unit/x/test_y.py` tests `app/x/y.py`."""
    assert is_mirrored(path) or name(path) in PINS
