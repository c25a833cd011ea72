"""The drawer "Under the hood": the page's requests and responses, and the service's log events."""

import re

from playwright.sync_api import Locator, Page, expect

from tests.support.demo_stack import DemoStack
from tests.support.demo_states import open_drawer
from tests.support.journeys import connect, go_home


def panel(page: Page, title: str) -> Locator:
    """Return a panel of the drawer."""
    return page.locator(".drawer section").filter(has=page.get_by_role("heading", name=title))


def test_the_drawer_shows_a_session_from_request_to_event(page: Page, stack: DemoStack) -> None:
    """It shows the request, the response, the log events, the metric, and the received event."""
    page.goto(stack.demo)
    connect(page, "Xero")
    go_home(page)

    open_drawer(page, "POST /vault-session")

    request, response, service = (panel(page, name) for name in ("Request", "Response", "Service"))
    expect(request).to_contain_text(re.compile(r"Authorization: Bearer ••• \(\d+ characters, hid"))
    expect(request).to_contain_text('"service_id": "xero"')
    expect(response).to_contain_text("Status 201")
    expect(response).to_contain_text(re.compile(r"/xero\?jwt=••• \(\d+ characters, hidden\)"))
    expect(service).to_contain_text("vault_session_minted")
    expect(service).to_contain_text(re.compile(r"consumer_id=acme.*connection=accounting/xero"))
    expect(service).to_contain_text(
        re.compile(r'vault_bff_sessions_total\{[^}]*outcome="minted"[^}]*\} \d+')
    )
    expect(service).to_contain_text("vault.connection.callable accounting/xero")
    expect(service).to_contain_text("webhook_forwarded")


def test_the_drawer_shows_a_failure(page: Page, stack: DemoStack) -> None:
    """For a failed request it shows the problem, and the reason that only the log contains."""
    page.goto(stack.demo)
    stack.fail("401", times=None)
    page.get_by_role("button", name="Manage all").click()
    expect(page.locator("#notice")).not_to_be_empty()

    open_drawer(page, "POST /vault-session")

    expect(panel(page, "Response")).to_contain_text("Status 502")
    expect(panel(page, "Service")).to_contain_text(
        re.compile(r"vault_session_failed\s.*problem=apideck-misconfigured reason=401")
    )


def test_the_drawer_follows_the_latest_request(page: Page, stack: DemoStack) -> None:
    """An open drawer stays open on the next page, and shows its latest request without a click."""
    page.goto(stack.demo)
    open_drawer(page, "GET /vault-connections")

    page.goto(f"{stack.demo}/embedded.html")
    page.get_by_role("button", name="Open integrations").click()
    page.get_by_role("button", name="Close").click()

    chosen = page.locator(".drawer [aria-pressed=true]")
    expect(chosen).to_contain_text("GET /vault-connections")
    expect(page.locator(".drawer-action")).to_have_count(4)
    expect(panel(page, "Service")).to_contain_text("vault_connections_read")


def test_the_drawer_shows_a_message_if_it_cannot_read_the_log(page: Page, stack: DemoStack) -> None:
    """Under Docker Compose, the log is in another container, and the drawer names the command."""
    nothing = {"has_log": False, "log": [], "metrics": [], "events": []}
    page.route("**/activity/*", lambda route: route.fulfill(json=nothing))
    page.goto(stack.demo)
    expect(page.locator(".drawer-last")).to_contain_text("200")

    page.get_by_role("button", name="Under the hood").click()

    service = panel(page, "Service")
    expect(service).to_contain_text("it is in another container")
    expect(service.locator("code")).to_have_text("docker compose logs service")
