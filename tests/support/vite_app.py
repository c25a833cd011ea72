"""A web application with Vite, React and TypeScript that installs the npm package."""

import shutil
import subprocess
from pathlib import Path

from starlette.responses import HTMLResponse, Response

from tests.support.browser import missing
from tests.support.published import APP
from tests.support.samples import recommended_headers

TEMPLATE = Path(__file__).parent / "vite_app"
ROOT = TEMPLATE.parent.parent.parent
_DOWNLOADS = "/tmp"  # noqa: S108 - the test replaces it with a temporary folder


def missing_app() -> str | None:
    """Return what is missing and how to install it, or None."""
    installed = (TEMPLATE / "node_modules").is_dir()
    return missing() or (None if installed else "needs npm packages: make node-modules")


def install(folder: Path, commands: str, components: dict[str, str]) -> Path:
    """Copy the web application into a folder, and install the package.

    Args:
        folder: an empty folder.
        commands: the two commands of the docs, which pack and install the package.
        components: the code of the web application's components, by name.

    Returns:
        The folder of the web application.
    """
    app = folder / "app"
    shutil.copytree(TEMPLATE, app, symlinks=True)
    pack, add = commands.replace(_DOWNLOADS, str(folder)).splitlines()
    _run(pack, ROOT)
    _run(f"{add} --offline --ignore-scripts --no-audit --no-fund", app)
    for name, code in components.items():
        (app / "src" / f"{name}.tsx").write_text(code)
    return app


def build(app: Path) -> dict[str, Response]:
    """Check the types, build, and return the pages of the web application by URL."""
    _run("npm run build", app)
    home = HTMLResponse((app / "dist" / "index.html").read_text(), headers=recommended_headers())
    scripts = {
        f"{APP}/assets/{path.name}": Response(path.read_text(), media_type="text/javascript")
        for path in (app / "dist" / "assets").glob("*.js")
    }
    return {f"{APP}/": home, f"{APP}/return": home, **scripts}


def _run(command: str, folder: Path) -> None:
    ended = subprocess.run(
        ["/bin/sh", "-c", command],
        check=False,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ended.returncode == 0, f"{command}\n{ended.stdout}{ended.stderr}"
