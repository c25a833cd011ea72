"""A real browser: the system's Chromium, driven by Playwright, and npm packages for its pages."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

PACKAGES = Path(__file__).parent / "browser" / "node_modules"
_NAMES = ("chromium", "chromium-browser", "google-chrome")
_QUIET = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def chromium() -> str | None:
    """Return where the browser is; `CHROMIUM` names one that is not on the path."""
    named = [os.environ["CHROMIUM"]] if "CHROMIUM" in os.environ else _NAMES
    return next(filter(None, map(shutil.which, named)), None)


def missing() -> str | None:
    """Return the command that would install what is missing, or None when nothing is."""
    return None if chromium() else "needs Chromium: apt-get install chromium"


def missing_packages() -> str | None:
    """Return the same for tests that need npm packages, too."""
    return missing() or (None if PACKAGES.is_dir() else "needs npm packages: make node-modules")


@contextmanager
def browser(*arguments: str) -> Iterator[Browser]:
    """Run the browser, which says nothing to anybody by itself.

    Playwright has an event loop of its own in this thread: no asynchronous test can run meanwhile,
    so a fixture around this must not outlive its module.
    """
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=chromium(),
            args=[*_QUIET, *arguments],
            # People's browsers keep a page as it was for the Back button; so does this one.
            ignore_default_args=["--disable-back-forward-cache"],
        )
        try:
            yield launched
        finally:
            launched.close()


def violations(page: Page) -> list[str]:
    """Return what axe-core finds wrong with a page, for somebody who cannot see or use a mouse."""
    page.evaluate((PACKAGES / "axe-core" / "axe.min.js").read_text())
    found = page.evaluate("axe.run({ resultTypes: ['violations'] })")
    return [
        f"{rule['id']}: {node['target']}" for rule in found["violations"] for node in rule["nodes"]
    ]
