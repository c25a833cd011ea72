"""The types beside the client module, read by TypeScript's own compiler."""

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


def complaints(*files: Path) -> str:
    """Return what the compiler finds wrong with files."""
    ended = subprocess.run(
        [TSC, *OPTIONS, "--moduleResolution", "bundler", "--types", "", *files],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return ended.stdout + ended.stderr


def test_the_types_allow_what_the_docs_do_and_refuse_mistakes() -> None:
    """A consumer that uses each of them compiles, and each mistake that it makes is noticed."""
    declared = re.findall(
        r"^export (?:interface|class|function) (\w+)", TYPES.read_text(), re.MULTILINE
    )
    assert len(declared) == len(re.findall(r"^export\b", TYPES.read_text(), re.MULTILINE))
    for name in declared:
        assert re.search(rf"\b{name}\b", CONSUMER.read_text()), name

    assert complaints(TYPES, CONSUMER) == ""


def test_the_types_name_what_the_module_exports(tmp_path: Path) -> None:
    """A function that the module does not have, or that has no types, would be found here."""
    script = f"console.log(JSON.stringify(Object.keys(await import({json.dumps(str(MODULE))}))))"
    printed = subprocess.run(
        ["node", "--input-type=module", "--eval", script],  # noqa: S607 - whichever there is
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    ).stdout
    exported = json.loads(printed)
    assert "openVault" in exported

    # An object literal has to have every key of a Record, and may have no others.
    names = tmp_path / "names.ts"
    names.write_text(
        f"import * as types from {json.dumps(str(MODULE))};\n"
        "export const names: Record<keyof typeof types, true> = "
        f"{json.dumps(dict.fromkeys(exported, True))};\n"
    )

    assert complaints(names) == ""
