"""What people do in the demo again and again."""

from playwright.sync_api import Locator, Page, expect

ADA, GRACE, OTTO = "Ada Byron, Acme Inc.", "Grace Brewster, Acme Inc.", "Otto Krämer, Globex GmbH"
NOBODY = "Nobody (signed out)"


def sign_in(page: Page, person: str) -> None:
    """Choose who is signed in."""
    page.get_by_label("Signed in as").select_option(person)


def card(page: Page, name: str) -> Locator:
    """Return a connector's card, in the demo or in the Vault."""
    return page.get_by_role("listitem").filter(has=page.get_by_role("heading", name=name))


def state(page: Page, name: str) -> Locator:
    """Return what a card of the demo's says of its connector."""
    return card(page, name).locator(".state")


def connect(page: Page, name: str) -> None:
    """Connect in the Vault, starting from the demo, as far as the return page."""
    page.get_by_role("button", name=f"Connect {name}").click()
    # Both pages have a button of that name: this is the other page.
    expect(page.get_by_role("link", name="All integrations")).to_be_visible()
    page.get_by_role("button", name=f"Connect {name}").click()
    expect(page.get_by_role("heading")).to_have_text(f"{name} is connected")


def go_home(page: Page) -> None:
    """Leave the return page."""
    page.get_by_role("link", name="Back to integrations").click()
