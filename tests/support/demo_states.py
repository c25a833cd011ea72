"""Every state of the demo and of the emulated Vault, for tests and screenshots.

The functions bring one page into each state in turn, and yield the state's name: a new page for
every state would take minutes. docs/frontend.md lists the states.
"""

import time
from collections.abc import Iterator
from typing import Any

from playwright.sync_api import Page, Route, expect

from tests.support.demo_stack import DemoStack
from tests.support.journeys import ADA, SIGNED_OUT, card, connect, go_home, sign_in, state

LISTS = "**/vault-connections*"
CHANGED: dict[str, dict[str, Any]] = {
    "xero": {"state": "invalid", "health": "revoked", "enabled": True},
    "hubspot": {"state": "callable", "enabled": False},
    "netsuite": {"state": "a state of the future"},
}
"""Connections as Apideck may report them; the emulated Vault has no button for these states."""


def walk(page: Page, stack: DemoStack) -> Iterator[str]:
    """Bring a page into each state in turn, and yield the name of the state."""
    stack.reset()
    yield from _settings(page, stack)
    yield from _connected(page)
    yield from _unusual(page, stack)
    yield from _vault(page, stack)
    yield from _return(page, stack)
    yield from _embedded(page, stack)


def report_unusual_states(route: Route) -> None:
    """Forward a list of connections with some states changed."""
    response = route.fetch()
    body = response.json()
    for connection in body["connections"]:
        connection.update(CHANGED.get(connection["service_id"], {}))
    route.fulfill(response=response, json=body)


def hold(page: Page, url: str) -> list[Route]:
    """Hold requests to this URL; return the list that they are added to."""
    held: list[Route] = []
    page.route(url, lambda route: held.append(route))  # noqa: PLW0108 - Playwright wants a function
    return held


def first_of(page: Page, held: list[Route]) -> Route:
    """Wait until a request is held, and return it."""
    # Playwright calls the handler of a route after it has reported the request.
    deadline = time.monotonic() + 20
    while not held:
        assert time.monotonic() < deadline
        page.wait_for_timeout(10)
    return held[0]


def open_drawer(page: Page, action: str) -> None:
    """Open the drawer, and select the latest action with this text."""
    page.get_by_role("button", name="Under the hood").click()
    page.get_by_role("button", name=action).first.click()
    service = page.locator(".drawer .service")
    expect(service).to_contain_text("http_request")


def _settings(page: Page, stack: DemoStack) -> Iterator[str]:
    held = hold(page, LISTS)
    with page.expect_request(LISTS):
        page.goto(stack.demo)
    expect(state(page, "Xero")).to_have_text("Checking…")
    yield "checking"
    first_of(page, held).continue_()
    page.unroute_all()
    expect(state(page, "Xero")).to_have_text("Not connected")
    yield "not connected"
    stack.fail("close", times=None)
    page.get_by_role("button", name="Connect Xero").click()
    expect(card(page, "Xero").get_by_role("button", name="Try again")).to_be_visible()
    yield "failed"
    stack.reset()
    sign_in(page, SIGNED_OUT)
    expect(page.get_by_role("heading", name="Sign in to see")).to_be_visible()
    yield "signed out"
    page.get_by_role("button", name="Ada Byron").click()
    expect(page.get_by_label("Signed in as")).to_have_value("ada")


def _connected(page: Page) -> Iterator[str]:
    connect(page, "QuickBooks")
    go_home(page)
    expect(state(page, "QuickBooks")).to_have_text("Connected")
    yield "connected"
    open_drawer(page, "POST /vault-session")
    yield "under the hood"
    page.keyboard.press("Escape")


def _unusual(page: Page, stack: DemoStack) -> Iterator[str]:
    page.route(LISTS, report_unusual_states)
    page.goto(stack.demo)
    expect(state(page, "Xero")).to_have_text("Needs attention")
    yield "needs attention, disabled, unknown"
    page.unroute_all()
    page.route(LISTS, lambda route: route.abort("connectionrefused"))
    page.goto(stack.demo)
    expect(page.get_by_role("button", name="Try again")).to_be_visible()
    expect(state(page, "Xero")).to_have_text("Unknown")
    yield "connections not loaded"
    page.unroute_all()


def _vault(page: Page, stack: DemoStack) -> Iterator[str]:
    page.goto(stack.demo)
    page.get_by_role("button", name="Manage all").click()
    delete = page.get_by_role("button", name="Delete QuickBooks")
    expect(delete).to_be_visible()
    yield "Vault"
    delete.click()
    expect(page.get_by_role("dialog", name="Delete QuickBooks?")).to_be_visible()
    yield "Vault: confirmation"
    page.keyboard.press("Escape")
    page.get_by_role("link", name="Xero").click()
    expect(page.get_by_role("heading", name="Guide")).to_be_visible()
    yield "Vault: connector"
    page.goto(f"{stack.apideck}/session/over")
    expect(page.get_by_role("heading")).to_have_text("This session has expired")
    yield "Vault: session expired"


def _return(page: Page, stack: DemoStack) -> Iterator[str]:
    held = hold(page, LISTS)
    with page.expect_request(LISTS):
        page.goto(f"{stack.demo}/return.html?authorizedConnection=quickbooks")
    yield "return: checking"
    first_of(page, held).continue_()
    page.unroute_all()
    expect(page.get_by_role("heading")).to_have_text("QuickBooks is connected")
    yield "return: connected"
    page.goto(f"{stack.demo}/return.html?error_type=x&error_message=y&service_id=xero")
    expect(page.get_by_role("button", name="Connect Xero")).to_be_visible()
    page.get_by_text("What the Vault reported").click()
    yield "return: not connected"
    page.route(LISTS, lambda route: route.abort("connectionrefused"))
    page.goto(f"{stack.demo}/return.html?authorizedConnection=xero")
    expect(page.get_by_role("button", name="Try again")).to_be_visible()
    yield "return: could not check"
    page.unroute_all()


def _embedded(page: Page, stack: DemoStack) -> Iterator[str]:
    page.goto(f"{stack.demo}/embedded.html")
    sign_in(page, ADA)
    expect(page.locator(".row .state")).to_have_text(["Connected"])
    yield "embedded"
    page.get_by_role("button", name="Open integrations").click()
    frame = page.frame_locator("dialog iframe")
    expect(frame.get_by_role("button", name="Connect Xero")).to_be_visible()
    yield "embedded: dialog"
