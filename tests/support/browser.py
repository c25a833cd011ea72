"""The system's Chromium, controlled by Playwright, and npm packages for its pages."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Frame, Page, sync_playwright

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
    """Return the path of the browser; the environment variable `CHROMIUM` overrides it."""
    names = [os.environ["CHROMIUM"]] if "CHROMIUM" in os.environ else _NAMES
    return next(filter(None, map(shutil.which, names)), None)


def missing() -> str | None:
    """Return what is missing and how to install it, or None."""
    return None if chromium() else "needs Chromium: apt-get install chromium"


def missing_packages() -> str | None:
    """Return what is missing for tests that also need npm packages, or None."""
    return missing() or (None if PACKAGES.is_dir() else "needs npm packages: make node-modules")


@contextmanager
def browser(*arguments: str) -> Iterator[Browser]:
    """Run the browser, without its background requests.

    Playwright runs an event loop in this thread, so no asynchronous test can run at the same time.
    A fixture that uses this must therefore not have a wider scope than its module.
    """
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=chromium(),
            args=[*_QUIET, *arguments],
            # Playwright disables this cache, but the browsers of real users have it.
            ignore_default_args=["--disable-back-forward-cache"],
        )
        try:
            yield launched
        finally:
            launched.close()


def go_back(page: Page) -> None:
    """Go back to the last page of another origin, and skip all pages of the current origin.

    Chromium can reject `Page.go_back` while it restores the page of the previous call. This
    function returns before the browser has navigated.
    """
    page.evaluate("void setTimeout(() => history.go(-1 - navigation.currentEntry.index))")


def violations(page: Page | Frame, *rules: str) -> list[str]:
    """Return the accessibility rules that a page or frame violates, found by axe-core.

    Args:
        page: the page or frame.
        rules: the rules to check; by default all.
    """
    if not page.evaluate("'axe' in window"):
        page.evaluate((PACKAGES / "axe-core" / "axe.min.js").read_text())
    options = {"resultTypes": ["violations"], "iframes": False}
    found = page.evaluate(
        "options => axe.run(options)", {**options, "runOnly": list(rules)} if rules else options
    )
    return [
        f"{rule['id']}: {node['target']}" for rule in found["violations"] for node in rule["nodes"]
    ]
