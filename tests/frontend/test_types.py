"""The types of the npm package, checked by the TypeScript compiler."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from app.api.problem_types import ALL
from tests.support.browser import PACKAGES
from tests.support.tools import ROOT

HERE = Path(__file__).parent
PACKAGE = ROOT / "clients" / "javascript"
TYPES = [PACKAGE / "index.d.ts", PACKAGE / "react.d.ts"]
CONSUMER = HERE / "consumer.ts"
TSC = PACKAGES / ".bin" / "tsc"
OPTIONS = [
    "--noEmit",
    "--strict",
    "--target",
    "es2022",
    "--lib",
    "es2022,dom",
    "--module",
    "esnext",
]

needs_packages = pytest.mark.skipif(
    shutil.which("node") is None or not TSC.exists(),
    reason="needs Node.js and npm packages: apt-get install nodejs npm, then make node-modules",
)


def errors(*files: Path) -> str:
    """Return the errors of the compiler."""
    ended = subprocess.run(
        [TSC, *OPTIONS, "--moduleResolution", "bundler", "--types", "", *files],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return ended.stdout + ended.stderr


def test_the_types_list_exactly_the_problems_of_the_service() -> None:
    """The union of problems has each type of the service with its statuses, and no others."""
    statuses: dict[str, set[int]] = {}
    for problem in ALL:
        statuses.setdefault(problem.slug, set()).add(int(problem.status))
    table = re.search(r"interface ProblemStatuses \{(.*?)\}", TYPES[0].read_text(), re.DOTALL)
    assert table is not None
    rows = re.findall(r'^  "?([\w-]+)"?: ([\d |]+);$', table[1], re.MULTILINE)

    declared = {slug: {int(status) for status in row.split(" | ")} for slug, row in rows}

    assert declared == statuses


@needs_packages
def test_the_types_accept_valid_code_and_reject_mistakes() -> None:
    """consumer.ts uses every exported type and compiles, and each of its mistakes is an error."""
    text = "".join(path.read_text() for path in TYPES)
    declared = re.findall(r"^export (?:interface|type|const|function) (\w+)", text, re.MULTILINE)
    assert len(declared) == len(re.findall(r"^export\b", text, re.MULTILINE))
    for name in declared:
        assert re.search(rf"\b{name}\b", CONSUMER.read_text()), name

    assert errors(*TYPES, CONSUMER) == ""


@needs_packages
@pytest.mark.parametrize("name", ["index.js", "react.js"])
def test_the_types_match_the_exports_of_the_module(name: str, tmp_path: Path) -> None:
    """Every export of the module has a type, and every type has an export."""
    # React is not a dependency of the package, so Node must find it in node_modules beside a copy.
    (tmp_path / "node_modules").symlink_to(PACKAGES)
    for file in PACKAGE.glob("*.js*"):
        shutil.copy(file, tmp_path)
    module = tmp_path / name
    script = f"console.log(JSON.stringify(Object.keys(await import({json.dumps(str(module))}))))"
    printed = subprocess.run(
        ["node", "--input-type=module", "--eval", script],  # noqa: S607 - the node of the machine
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    ).stdout
    exported = json.loads(printed)
    assert {"openVault", "useVault"} & set(exported)

    # The compiler requires that an object literal has exactly the keys of its Record type.
    names = tmp_path / "names.ts"
    names.write_text(
        f"import * as types from {json.dumps(str(PACKAGE / name))};\n"
        "export const names: Record<keyof typeof types, true> = "
        f"{json.dumps(dict.fromkeys(exported, True))};\n"
    )

    assert errors(names) == ""
