"""Steps of a user of the demo that many tests share."""

from playwright.sync_api import Locator, Page, expect

ADA, GRACE, OTTO = "Ada Byron, Acme Inc.", "Grace Brewster, Acme Inc.", "Otto Krämer, Globex GmbH"
SIGNED_OUT = "Signed out"
APIDECK_FAILED = "Integrations are not available right now. Try again shortly."
"""The service's message to a user while Apideck fails."""
OPERATOR_PROBLEM = "Integrations are not available right now."
"""The service's message to a user when the operator's API key or quota is the problem."""


def sign_in(page: Page, person: str) -> None:
    """Sign in as this person."""
    page.get_by_label("Signed in as").select_option(person)


def card(page: Page, name: str) -> Locator:
    """Return the card of a connector, in the demo or in the Vault."""
    return page.get_by_role("listitem").filter(has=page.get_by_role("heading", name=name))


def state(page: Page, name: str) -> Locator:
    """Return the part of a demo card that shows the state of its connector."""
    return card(page, name).locator(".state")


def connect(page: Page, name: str) -> None:
    """Connect a connector in the Vault, from the demo to the return page."""
    page.get_by_role("button", name=f"Connect {name}").click()
    # Both pages have a button with this name; the link is only in the Vault.
    expect(page.get_by_role("link", name="All integrations")).to_be_visible()
    page.get_by_role("button", name=f"Connect {name}").click()
    expect(page.get_by_role("heading", name=f"{name} is connected")).to_be_visible()


def open_with_connection(page: Page, demo: str, name: str) -> None:
    """Open the settings page of the demo, with this connector connected."""
    page.goto(demo)
    connect(page, name)
    go_home(page)
    expect(page.get_by_role("button", name=f"Manage {name}")).to_be_visible()


def go_home(page: Page) -> None:
    """Go from the return page to the settings page."""
    page.get_by_role("link", name="Back to integrations").click()
