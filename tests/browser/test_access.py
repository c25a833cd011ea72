"""The demo and the Vault with a keyboard, a screen reader, a small screen and dark colours."""

from collections.abc import Callable
from typing import Literal

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import missing_packages, violations
from tests.support.demo_stack import DemoStack
from tests.support.journeys import SIGNED_OUT, open_with_connection, sign_in

Scheme = Literal["light", "dark"]


def settings(page: Page, stack: DemoStack) -> None:
    """Open the settings page, with one connection."""
    open_with_connection(page, stack.demo, "Xero")


def rejection(page: Page, stack: DemoStack) -> None:
    """Open the settings page, with an error."""
    page.goto(stack.demo)
    sign_in(page, SIGNED_OUT)
    page.get_by_role("button", name="Manage all").click()
    expect(page.get_by_role("alert").get_by_role("button")).to_be_visible()


def embedded(page: Page, stack: DemoStack) -> None:
    """Open the dialog of the embedded variant."""
    page.goto(f"{stack.demo}/embedded.html")
    page.get_by_role("button", name="Open integrations").click()
    expect(page.get_by_role("dialog")).to_be_visible()


def failed_return(page: Page, stack: DemoStack) -> None:
    """Return to the demo with an error."""
    page.goto(f"{stack.demo}/return.html?error_type=x&error_message=y&service_id=xero")
    page.get_by_text("Details").click()


def vault(page: Page, stack: DemoStack) -> None:
    """Open the Vault, with one connection."""
    open_with_connection(page, stack.demo, "Xero")
    page.get_by_role("button", name="Manage all").click()
    expect(page.get_by_role("button", name="Disconnect Xero")).to_be_visible()


def connector(page: Page, stack: DemoStack) -> None:
    """Open the page of one connector in the Vault."""
    page.goto(stack.demo)
    page.get_by_role("button", name="Connect Xero").click()
    expect(page.get_by_role("heading", name="Guide")).to_be_visible()


def expired(page: Page, stack: DemoStack) -> None:
    """Open the Vault with an expired session."""
    page.goto(f"{stack.apideck}/session/over")
    expect(page.get_by_role("heading")).to_have_text("This session has expired")


@pytest.mark.skipif(missing_packages() is not None, reason=str(missing_packages()))
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    "state", [settings, rejection, embedded, failed_return, vault, connector, expired]
)
def test_axe_finds_no_violation(
    page: Page,
    stack: DemoStack,
    state: Callable[[Page, DemoStack], None],
    scheme: Scheme,
) -> None:
    """Every page follows axe-core's rules on contrast, names and landmarks, in light and dark."""
    page.emulate_media(color_scheme=scheme)

    state(page, stack)

    assert violations(page) == []


@pytest.mark.parametrize(
    "state", [settings, rejection, embedded, failed_return, vault, connector, expired]
)
def test_a_phone_shows_the_whole_page(
    page: Page, stack: DemoStack, state: Callable[[Page, DemoStack], None]
) -> None:
    """No page needs horizontal scrolling on a screen of 360 pixels."""
    page.set_viewport_size({"width": 360, "height": 640})

    state(page, stack)

    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_a_keyboard_user_can_connect(page: Page, stack: DemoStack) -> None:
    """Tab and Enter lead from the demo to the Vault and back, and the focus is visible."""
    page.goto(stack.demo)
    expect(page.get_by_role("button", name="Connect QuickBooks")).to_be_visible()

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


def test_a_keyboard_user_can_close_the_dialog(page: Page, stack: DemoStack) -> None:
    """Escape closes the dialog and returns the focus to the button."""
    page.goto(f"{stack.demo}/embedded.html")
    expect(page.get_by_text("Acme Inc. works with")).to_be_visible()
    tab_to(page, "Open integrations")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()

    page.keyboard.press("Escape")

    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(page.get_by_role("button", name="Open integrations")).to_be_focused()


def test_a_busy_button_is_announced_and_keeps_the_focus(page: Page, stack: DemoStack) -> None:
    """A screen reader announces what is being opened."""
    page.goto(stack.demo)
    stack.fail("slow", seconds=2)
    button = page.get_by_role("button", name="Connect Xero")
    button.focus()

    page.keyboard.press("Enter")

    expect(page.get_by_role("status")).to_have_text("Opening Xero")
    expect(button).to_have_attribute("aria-busy", "true")
    expect(button).to_be_focused()


def tab_to(page: Page, name: str) -> None:
    """Press Tab until the element with this name has the focus."""
    named = "(document.activeElement.ariaLabel ?? document.activeElement.textContent).trim()"
    reached: list[str] = []
    while not reached or reached[-1] != name:
        assert len(reached) < 50, reached
        page.keyboard.press("Tab")
        reached.append(page.evaluate(named))
