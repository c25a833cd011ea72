"""`make screenshots`: takes screenshots of the demo for the docs."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from playwright.sync_api import Page, ViewportSize, expect

from tests.support.browser import browser, missing
from tests.support.demo_stack import ROOT, DemoStack, demo_stack
from tests.support.journeys import connect, open_with_connection

IMAGES = ROOT / "docs" / "images"
WIDTH, HEIGHT = 1280, 800
Shot = Callable[[Page, DemoStack], None]


def settings(page: Page, stack: DemoStack) -> None:
    """The settings page, with one connection."""
    open_with_connection(page, stack.demo, "QuickBooks")


def vault(page: Page, stack: DemoStack) -> None:
    """The Vault, opened from that page."""
    settings(page, stack)
    page.get_by_role("button", name="Manage all").click()
    expect(page.get_by_role("button", name="Disconnect QuickBooks")).to_be_visible()


def failure(page: Page, stack: DemoStack) -> None:
    """The settings page while Apideck does not respond."""
    page.goto(stack.demo)
    stack.fail("close", times=None)
    page.get_by_role("button", name="Connect Xero").click()
    expect(page.get_by_role("button", name="Try again")).to_be_visible()


def return_page(page: Page, stack: DemoStack) -> None:
    """The return page."""
    page.goto(stack.demo)
    connect(page, "Xero")


SHOTS: dict[str, tuple[Shot, Literal["light", "dark"]]] = {
    "settings": (settings, "light"),
    "settings-dark": (settings, "dark"),
    "vault": (vault, "light"),
    "failure": (failure, "light"),
    "return": (return_page, "light"),
}


def take_screenshots(folder: Path) -> None:
    """Write every screenshot into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    size: ViewportSize = {"width": WIDTH, "height": HEIGHT}
    with demo_stack() as stack, browser("--hide-scrollbars") as running:
        for name, (shot, scheme) in SHOTS.items():
            stack.reset()
            with running.new_context(viewport=size, color_scheme=scheme) as context:
                page = context.new_page()
                shot(page, stack)
                page.mouse.move(0, 0)
                page.screenshot(path=folder / f"{name}.png", animations="disabled", caret="hide")


if __name__ == "__main__":
    if missing():
        raise SystemExit(missing())
    take_screenshots(IMAGES)
