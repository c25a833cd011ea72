"""The code samples of the guides, and a build for the samples for frontends."""

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from starlette.responses import HTMLResponse, Response

from tests.support.browser import PACKAGES

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs" / "frontend.md"
BACKEND = ROOT / "docs" / "backend.md"
PACKAGE = ROOT / "clients" / "javascript"


@dataclass(frozen=True)
class Sample:
    """A fenced code block, with its heading and its language."""

    heading: str
    language: str
    code: str

    def __str__(self) -> str:
        return f"{self.heading}, {self.language}"


def samples(page: Path = PAGE) -> list[Sample]:
    """Return all fenced code blocks of a page, in order."""
    found, heading = [], ""
    parts = re.finditer(
        r"^## (?P<heading>[^\n]+)$|^```(?P<language>\w*)\n(?P<code>.*?)^```$",
        page.read_text(),
        re.MULTILINE | re.DOTALL,
    )
    for part in parts:
        if part["heading"]:
            heading = part["heading"]
        else:
            found.append(Sample(heading, part["language"], part["code"]))
    return found


def sample(heading: str, language: str, number: int = 0) -> Sample:
    """Return a block of docs/frontend.md; `number` counts those with this heading and language."""
    matching = [one for one in samples() if (one.heading, one.language) == (heading, language)]
    return matching[number]


def backend_sample(heading: str, language: str, number: int = 0) -> Sample:
    """Return a block of docs/backend.md, as `sample` does."""
    blocks = samples(BACKEND)
    matching = [one for one in blocks if (one.heading, one.language) == (heading, language)]
    return matching[number]


def recommended_headers() -> dict[str, str]:
    """Return the headers that docs/frontend.md recommends for pages that open the Vault."""
    lines = sample("Security headers for your pages", "http").code.splitlines()
    return {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}


def html_page(body: str = "", *, headers: dict[str, str] | None = None) -> HTMLResponse:
    """Return a page with a script, with these headers or by default the recommended ones."""
    content = f"<!doctype html><title>Ours</title>{body}<script type=module src=/main.js></script>"
    return HTMLResponse(content, headers=headers or recommended_headers())


def bundle(folder: Path, code: str, main: str) -> Response:
    """Bundle a script, like the build of a frontend.

    Args:
        folder: an empty folder.
        code: the sample, which `main` imports as `./sample`; it can import the npm package.
        main: the script that uses the sample.
    """
    (folder / "sample.jsx").write_text(code)
    (folder / "main.jsx").write_text(main)
    modules = folder / "node_modules"
    modules.mkdir(exist_ok=True)
    (modules / "vault-bff-client").symlink_to(PACKAGE)
    built = subprocess.run(
        [
            str(PACKAGES / ".bin" / "esbuild"),
            "main.jsx",
            "--bundle",
            "--format=esm",
            "--jsx=automatic",
            '--define:process.env.NODE_ENV="production"',
            "--log-level=error",
        ],
        cwd=folder,
        env={**os.environ, "NODE_PATH": str(PACKAGES)},
        check=True,
        capture_output=True,
    )
    return Response(built.stdout, media_type="text/javascript")
