"""Whoever uses a keyboard or a screen reader, or likes it dark, gets as far as anybody."""

from collections.abc import Callable
from typing import Literal

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import missing_packages, violations
from tests.support.demo_stack import DemoStack
from tests.support.journeys import NOBODY, connect, go_home, sign_in

Scheme = Literal["light", "dark"]


def settings(page: Page, stack: DemoStack) -> None:
    """Open the settings page, with something connected."""
    page.goto(stack.demo)
    connect(page, "Xero")
    go_home(page)
    expect(page.get_by_role("button", name="Manage Xero")).to_be_visible()


def refusal(page: Page, stack: DemoStack) -> None:
    """Open the settings page, and be refused."""
    page.goto(stack.demo)
    sign_in(page, NOBODY)
    page.get_by_role("button", name="Manage all").click()
    expect(page.get_by_role("alert").get_by_role("button")).to_be_visible()


def embedded(page: Page, stack: DemoStack) -> None:
    """Open the embedded variant's dialog."""
    page.goto(f"{stack.demo}/embedded.html")
    page.get_by_role("button", name="Open integrations").click()
    expect(page.get_by_role("dialog")).to_be_visible()


def failed_return(page: Page, stack: DemoStack) -> None:
    """Come back with an error."""
    page.goto(f"{stack.demo}/return.html?error_type=x&error_message=y&service_id=xero")
    page.get_by_text("What was reported").click()


def vault(page: Page, stack: DemoStack) -> None:
    """Open the Vault, and connect something."""
    page.goto(stack.demo)
    connect(page, "Xero")
    go_home(page)
    page.get_by_role("button", name="Manage all").click()
    expect(page.get_by_role("button", name="Disconnect Xero")).to_be_visible()


def connector(page: Page, stack: DemoStack) -> None:
    """Open one connector's page of the Vault."""
    page.goto(stack.demo)
    page.get_by_role("button", name="Connect Xero").click()
    expect(page.get_by_role("heading", name="Guide")).to_be_visible()


def expired(page: Page, stack: DemoStack) -> None:
    """Open the Vault with a session that is over."""
    page.goto(f"{stack.apideck}/session/over")
    expect(page.get_by_role("heading")).to_have_text("This session has expired")


@pytest.mark.skipif(missing_packages() is not None, reason=str(missing_packages()))
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    "state", [settings, refusal, embedded, failed_return, vault, connector, expired]
)
def test_axe_finds_nothing(
    page: Page,
    stack: DemoStack,
    state: Callable[[Page, DemoStack], None],
    scheme: Scheme,
) -> None:
    """Contrast, names, landmarks and the like are right on every page, light and dark."""
    page.emulate_media(color_scheme=scheme)

    state(page, stack)

    assert violations(page) == []


@pytest.mark.parametrize(
    "state", [settings, refusal, embedded, failed_return, vault, connector, expired]
)
def test_a_phone_shows_all_of_it(
    page: Page, stack: DemoStack, state: Callable[[Page, DemoStack], None]
) -> None:
    """On 360 pixels nothing has to be scrolled sideways."""
    page.set_viewport_size({"width": 360, "height": 640})

    state(page, stack)

    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_the_keyboard_alone_connects(page: Page, stack: DemoStack) -> None:
    """Tab and Enter go from the demo to the Vault and back, and one sees where one is."""
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


def test_the_keyboard_alone_closes_the_dialog(page: Page, stack: DemoStack) -> None:
    """Escape closes what Enter opened, and the focus is where it was."""
    page.goto(f"{stack.demo}/embedded.html")
    expect(page.get_by_text("Acme Inc. works with")).to_be_visible()
    tab_to(page, "Open integrations")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()

    page.keyboard.press("Escape")

    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(page.get_by_role("button", name="Open integrations")).to_be_focused()


def test_a_busy_button_says_so_and_keeps_the_focus(page: Page, stack: DemoStack) -> None:
    """Somebody who does not see it hears what is being opened."""
    page.goto(stack.demo)
    stack.fail("slow", seconds=2)
    button = page.get_by_role("button", name="Connect Xero")
    button.focus()

    page.keyboard.press("Enter")

    expect(page.get_by_role("status")).to_have_text("Opening Xero")
    expect(button).to_have_attribute("aria-busy", "true")
    expect(button).to_be_focused()


def tab_to(page: Page, name: str) -> None:
    """Press Tab until something of that name has the focus."""
    named = "(document.activeElement.ariaLabel ?? document.activeElement.textContent).trim()"
    reached: list[str] = []
    while not reached or reached[-1] != name:
        assert len(reached) < 50, reached
        page.keyboard.press("Tab")
        reached.append(page.evaluate(named))
