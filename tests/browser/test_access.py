"""Accessibility of every state of the demo and the Vault: keyboard, screen reader, screen size."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.support.browser import missing_packages, violations
from tests.support.demo_stack import DemoStack
from tests.support.demo_states import walk

DOCS = Path(__file__).parent.parent.parent / "docs" / "frontend.md"
WIDTHS = (390, 768, 1280)


@contextmanager
def context_of(browser: Browser, width: int) -> Iterator[BrowserContext]:
    """Open a browser profile with this screen width; fail on an error in one of its pages."""
    with browser.new_context(viewport={"width": width, "height": 800}) as context:
        errors: list[str] = []
        context.on("weberror", lambda found: errors.append(str(found.error)))
        yield context
        assert errors == []


@pytest.mark.skipif(missing_packages() is not None, reason=str(missing_packages()))
def test_every_state_is_accessible_and_fits_the_screen(browser: Browser, stack: DemoStack) -> None:
    """axe-core finds no violation in light and dark, and no page needs horizontal scrolling."""
    found: list[str] = []
    seen: list[str] = []
    # Reaching a state takes longer than the checks, so the page is resized in each state.
    with context_of(browser, WIDTHS[0]) as context:
        page = context.new_page()
        for state in walk(page, stack):
            seen.append(state)
            page.emulate_media(color_scheme="dark")
            # The other rules do not depend on colours.
            found += [f"{state}, dark: {one}" for one in _violations(page, "color-contrast")]
            page.emulate_media(color_scheme="light")
            for width in reversed(WIDTHS):
                page.set_viewport_size({"width": width, "height": 800})
                found += [f"{state}, {width} px: {one}" for one in _violations(page)]
                if page.evaluate("document.documentElement.scrollWidth") > width:
                    found.append(f"{state} needs horizontal scrolling at {width} px")

    assert found == []
    listed = re.findall(r"^\| ([^|-]+?) \|", _section("States of a page"), re.MULTILINE)[1:]
    assert listed == seen


def _violations(page: Page, *rules: str) -> list[str]:
    return [one for frame in page.frames for one in violations(frame, *rules)]


def _section(heading: str) -> str:
    return DOCS.read_text().partition(f"## {heading}\n")[2].partition("\n## ")[0]


@pytest.mark.parametrize("width", [WIDTHS[0], WIDTHS[-1]])
def test_all_actions_are_possible_with_the_keyboard(
    browser: Browser, stack: DemoStack, width: int
) -> None:
    """Tab, Enter and Escape suffice to connect, and to use the drawer, a confirmation, a dialog."""
    with context_of(browser, width) as context:
        page = context.new_page()
        page.goto(stack.demo)
        expect(page.get_by_role("button", name="Connect QuickBooks")).to_be_visible()
        _connect(page)
        _use_drawer(page)
        _delete(page)
        _use_dialog(page, stack)


def _connect(page: Page) -> None:
    tab_to(page, "Connect QuickBooks")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Guide")).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the integrations")).to_be_focused()
    tab_to(page, "Connect QuickBooks")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading")).to_have_text("QuickBooks is connected")
    tab_to(page, "Back to integrations")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Manage QuickBooks")).to_be_visible()


def _use_drawer(page: Page) -> None:
    toggle = page.get_by_role("button", name="Under the hood")
    tab_to(page, "Under the hood")
    page.keyboard.press("Enter")
    expect(toggle).to_have_attribute("aria-expanded", "true")
    page.keyboard.press("Tab")
    expect(page.get_by_role("group", name="Request, response and service")).to_be_focused()
    page.keyboard.press("Escape")
    expect(toggle).to_be_focused()
    expect(toggle).to_have_attribute("aria-expanded", "false")


def _delete(page: Page) -> None:
    page.get_by_role("button", name="Manage all").focus()
    page.keyboard.press("Enter")
    for key, name in (("Escape", "Delete QuickBooks"), ("Enter", "Connect QuickBooks")):
        expect(page.get_by_role("button", name="Delete QuickBooks")).to_be_visible()
        page.get_by_role("button", name="Delete QuickBooks").focus()
        page.keyboard.press("Enter")
        expect(page.get_by_role("button", name="Cancel")).to_be_focused()
        if key == "Enter":
            page.keyboard.press("Tab")
        page.keyboard.press(key)
        # An exact match: before the deletion, there is a button "Disconnect QuickBooks".
        expect(page.get_by_role("button", name=name, exact=True)).to_be_visible()


def _use_dialog(page: Page, stack: DemoStack) -> None:
    page.goto(f"{stack.demo}/embedded.html")
    expect(page.get_by_text("Nothing is connected yet.")).to_be_visible()
    tab_to(page, "Open integrations")
    page.keyboard.press("Enter")
    xero = page.frame_locator("dialog iframe").get_by_role("button", name="Connect Xero")
    xero.focus()
    page.keyboard.press("Enter")
    disconnect = page.frame_locator("dialog iframe").get_by_role("button", name="Disconnect Xero")
    disconnect.focus()

    page.keyboard.press("Escape")

    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(page.get_by_role("button", name="Open integrations")).to_be_focused()
    expect(page.locator(".row .state")).to_have_text(["Connected"])


def test_a_busy_button_is_announced_and_keeps_the_focus(page: Page, stack: DemoStack) -> None:
    """A screen reader announces the connector that is being opened."""
    page.goto(stack.demo)
    stack.fail("slow", seconds=2)
    button = page.get_by_role("button", name="Connect Xero")
    button.focus()

    page.keyboard.press("Enter")

    expect(page.locator("#status")).to_have_text("Opening Xero")
    expect(button).to_have_attribute("aria-busy", "true")
    expect(button).to_be_focused()


def test_forced_colours_show_the_system_menu(page: Page, stack: DemoStack) -> None:
    """With forced colours, the user menu has the appearance of the system's menus."""
    page.emulate_media(forced_colors="active")
    page.goto(stack.demo)

    expect(page.get_by_label("Signed in as")).to_have_css("appearance", "auto")


def test_there_is_no_animation_with_reduced_motion(page: Page, stack: DemoStack) -> None:
    """The placeholders pulse only if the user does not prefer reduced motion."""
    for motion, name in (("reduce", "none"), ("no-preference", "pulse")):
        page.emulate_media(reduced_motion=motion)  # type: ignore[arg-type]
        with page.expect_request("**/vault-connections*"):
            page.route("**/vault-connections*", lambda route: None)  # noqa: ARG005
            page.goto(stack.demo)
        button = page.get_by_role("button", name="Checking Xero")
        expect(button).to_have_css("animation-name", name)


def tab_to(page: Page, name: str) -> None:
    """Press Tab until the element with this name has the focus."""
    focused = "(document.activeElement.ariaLabel ?? document.activeElement.textContent).trim()"
    reached: list[str] = []
    while not reached or reached[-1] != name:
        assert len(reached) < 50, reached
        page.keyboard.press("Tab")
        reached.append(page.evaluate(focused))
