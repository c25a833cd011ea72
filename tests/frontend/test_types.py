"""The types of the client module, checked by the TypeScript compiler."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.browser import PACKAGES

HERE = Path(__file__).parent
MODULE = HERE.parent.parent / "deploy" / "local" / "demo" / "static" / "vault-session.js"
TYPES = MODULE.with_suffix(".d.ts")
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

pytestmark = pytest.mark.skipif(
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


def test_the_types_allow_the_docs_code_and_reject_mistakes() -> None:
    """consumer.ts uses every exported type and compiles, and each of its mistakes is an error."""
    declared = re.findall(
        r"^export (?:interface|class|function) (\w+)", TYPES.read_text(), re.MULTILINE
    )
    assert len(declared) == len(re.findall(r"^export\b", TYPES.read_text(), re.MULTILINE))
    for name in declared:
        assert re.search(rf"\b{name}\b", CONSUMER.read_text()), name

    assert errors(TYPES, CONSUMER) == ""


def test_the_types_match_the_exports_of_the_module(tmp_path: Path) -> None:
    """Every export of the module has a type, and every type has an export."""
    script = f"console.log(JSON.stringify(Object.keys(await import({json.dumps(str(MODULE))}))))"
    printed = subprocess.run(
        ["node", "--input-type=module", "--eval", script],  # noqa: S607 - the node of the machine
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    ).stdout
    exported = json.loads(printed)
    assert "openVault" in exported

    # The keys of an object literal have to be exactly those of its Record type.
    names = tmp_path / "names.ts"
    names.write_text(
        f"import * as types from {json.dumps(str(MODULE))};\n"
        "export const names: Record<keyof typeof types, true> = "
        f"{json.dumps(dict.fromkeys(exported, True))};\n"
    )

    assert errors(names) == ""
