"""`make screenshots`: takes screenshots of the demo for the docs."""

from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, Page, ViewportSize

from tests.support.browser import browser, missing
from tests.support.demo_stack import ROOT, DemoStack, demo_stack
from tests.support.demo_states import walk

IMAGES = ROOT / "docs" / "images"
DESKTOP, PHONE = ViewportSize(width=1280, height=800), ViewportSize(width=390, height=800)
SHOTS: tuple[tuple[ViewportSize, Literal["light", "dark"], dict[str, str]], ...] = (
    (
        DESKTOP,
        "light",
        {
            "connected": "settings",
            "under the hood": "under-the-hood",
            "Vault": "vault",
            "Vault: confirmation": "vault-confirmation",
            "return: connected": "return",
            "return: not connected": "return-error",
            "embedded: dialog": "embedded",
            "signed out": "signed-out",
        },
    ),
    (DESKTOP, "dark", {"needs attention, disabled, unknown": "settings-dark"}),
    (PHONE, "light", {"failed": "failure"}),
)
"""The size, the color scheme, and the file name for each state that the docs show."""


def take_screenshots(folder: Path, stack: DemoStack, running: Browser) -> None:
    """Write every screenshot into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for size, scheme, files in SHOTS:
        with running.new_context(viewport=size, color_scheme=scheme) as context:
            page = context.new_page()
            wanted = dict(files)
            for state in walk(page, stack):
                if state in wanted:
                    _take(page, folder / f"{wanted.pop(state)}.png")
                if not wanted:
                    break


def _take(page: Page, path: Path) -> None:
    page.mouse.move(0, 0)
    page.screenshot(path=path, animations="disabled", caret="hide")


if __name__ == "__main__":
    if missing():
        raise SystemExit(missing())
    with demo_stack() as stack, browser("--hide-scrollbars") as running:
        take_screenshots(IMAGES, stack, running)
