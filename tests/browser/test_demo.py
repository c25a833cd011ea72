"""The demo in a browser, as a user sees it."""

import re

import pytest
from playwright.sync_api import Page, Route, expect

from tests.support.browser import go_back
from tests.support.demo_stack import DemoStack
from tests.support.demo_states import LISTS, first_of, hold, open_drawer
from tests.support.journeys import (
    ADA,
    GRACE,
    OTTO,
    card,
    connect,
    go_home,
    open_with_connection,
    sign_in,
    state,
)


def test_a_user_connects_in_the_vault_and_returns(page: Page, stack: DemoStack) -> None:
    """The Vault shows the user, the organisation and the theme; the demo shows the connection."""
    page.goto(stack.demo)
    sign_in(page, GRACE)

    page.get_by_role("button", name="Connect QuickBooks").click()

    expect(page).to_have_url(re.compile(r"/integrations/accounting/quickbooks\?jwt="))
    expect(page).to_have_title("Fieldnotes")
    account = page.get_by_role("complementary", name="Account")
    for shown in ("Fieldnotes", "Grace Brewster", "Acme Inc.", "grace@acme.example"):
        expect(account).to_contain_text(shown)
    expect(account).to_have_css("background-color", "rgb(16, 51, 47)")
    button = page.get_by_role("button", name="Connect QuickBooks")
    expect(button).to_have_css("background-color", "rgb(15, 118, 110)")
    button.click()
    expect(page.get_by_role("heading")).to_have_text("QuickBooks is connected")
    expect(page).to_have_url(f"{stack.demo}/return.html")
    go_home(page)
    expect(state(page, "QuickBooks")).to_have_text("Connected")
    expect(state(page, "Xero")).to_have_text("Not connected")
    [minted] = stack.minted()
    assert minted["consumer_id"] == "acme"


def test_an_organisation_does_not_see_connections_of_another(page: Page, stack: DemoStack) -> None:
    """Neither the demo nor the Vault shows Otto the connections of Ada's organisation."""
    page.goto(stack.demo)
    sign_in(page, ADA)
    connect(page, "QuickBooks")
    go_home(page)
    expect(state(page, "QuickBooks")).to_have_text("Connected")

    sign_in(page, OTTO)

    expect(page.get_by_text("Globex GmbH works with")).to_be_visible()
    expect(state(page, "QuickBooks")).to_have_text("Not connected")
    page.get_by_role("button", name="Manage all").click()
    expect(page.get_by_role("complementary")).to_contain_text("Otto Krämer")
    expect(card(page, "QuickBooks").get_by_text("Not connected")).to_be_visible()
    expect(page.locator("body")).not_to_contain_text(re.compile("Ada|Acme"))


def test_a_late_response_is_not_shown_to_the_next_user(page: Page, stack: DemoStack) -> None:
    """The demo cancels the request for Ada's connections when Otto signs in."""
    page.goto(stack.demo)
    connect(page, "Xero")
    held: list[Route] = []
    page.route("**/vault-connections*", lambda one: one.continue_() if held else held.append(one))
    with page.expect_request("**/vault-connections*"):
        page.goto(stack.demo)
    expect(state(page, "Xero")).to_have_text("Checking…")

    with page.expect_event("requestfailed", lambda one: "/vault-connections" in one.url):
        sign_in(page, OTTO)

    expect(state(page, "Xero")).to_have_text("Not connected")


def test_colleagues_share_connections(page: Page, stack: DemoStack) -> None:
    """A connection belongs to the organisation, so it is also shown to a colleague."""
    page.goto(stack.demo)
    sign_in(page, ADA)
    connect(page, "Xero")
    colleagues = page.context.new_page()

    colleagues.goto(stack.demo)
    sign_in(colleagues, GRACE)

    expect(colleagues.get_by_text("Acme Inc. works with")).to_be_visible()
    expect(state(colleagues, "Xero")).to_have_text("Connected")
    expect(state(colleagues, "QuickBooks")).to_have_text("Not connected")
    colleagues.get_by_role("button", name="Manage all").click()
    expect(card(colleagues, "Xero").get_by_text("Connected", exact=True)).to_be_visible()


@pytest.mark.parametrize(
    ("action", "new_state", "button", "way_back"),
    [
        ("Disconnect", "Not connected", "Connect", "Back button"),
        ("Disable", "Disabled", "Manage", "address"),
    ],
)
def test_a_card_shows_changes_that_were_made_in_the_vault(
    page: Page, stack: DemoStack, action: str, new_state: str, button: str, way_back: str
) -> None:
    """The card is updated after the Back button and after a new visit to the page."""
    open_with_connection(page, stack.demo, "Xero")
    page.get_by_role("button", name="Manage all").click()
    page.get_by_role("button", name=f"{action} Xero").click()
    if action == "Disconnect":
        page.get_by_role("dialog").get_by_role("button", name=action).click()
    expect(card(page, "Xero").get_by_text(new_state, exact=True)).to_be_visible()

    if way_back == "address":
        page.goto(stack.demo)
    else:
        go_back(page)

    expect(state(page, "Xero")).to_have_text(new_state)
    expect(card(page, "Xero").get_by_role("button")).to_have_text(button)


def test_an_open_page_shows_a_change_within_two_seconds(page: Page, stack: DemoStack) -> None:
    """Apideck's event reaches the page through the service and the demo, without a reload."""
    page.goto(stack.demo)
    sign_in(page, ADA)
    expect(state(page, "Xero")).to_have_text("Not connected")
    with page.context.expect_event("response", lambda one: one.url.endswith("/changes")):
        other = page.context.new_page()
        other.goto(stack.demo)
    sign_in(other, ADA)

    connect(other, "Xero")

    expect(state(page, "Xero")).to_have_text("Connected", timeout=2000)


def test_a_card_shows_that_its_state_is_loading(page: Page, stack: DemoStack) -> None:
    """Until the state is known, the button of the card is disabled and other buttons work."""
    held = hold(page, LISTS)
    with page.expect_request(LISTS):
        page.goto(stack.demo)

    expect(state(page, "Xero")).to_have_text("Checking…")
    expect(card(page, "Xero").get_by_role("button")).to_be_disabled()
    expect(page.get_by_role("button", name="Manage all")).to_be_enabled()
    first_of(page, held).continue_()

    expect(state(page, "Xero")).to_have_text("Not connected")
    expect(page.get_by_role("button", name="Connect Xero")).to_be_enabled()


def test_the_main_action_depends_on_what_is_connected(page: Page, stack: DemoStack) -> None:
    """Connect is primary; Manage all becomes primary once something is connected."""
    primary = re.compile("primary")
    page.goto(stack.demo)
    expect(page.get_by_role("button", name="Connect Xero")).to_have_class(primary)
    expect(page.get_by_role("button", name="Manage all")).not_to_have_class(primary)
    connect(page, "Xero")

    go_home(page)

    expect(page.get_by_role("button", name="Manage all")).to_have_class(primary)
    expect(page.get_by_role("button", name="Manage Xero")).not_to_have_class(primary)


def test_connectors_that_only_the_vault_offers_are_listed(page: Page, stack: DemoStack) -> None:
    """They are in the group Other, have the names of the service, and can be connected."""
    open_with_connection(page, stack.demo, "Xero")
    others = page.locator("section").filter(has=page.get_by_role("heading", name="Other"))
    expect(others.get_by_role("heading", level=3)).to_have_text(
        ["Pipedrive", "Zoho CRM", "Personio"]
    )

    connect(page, "Personio")
    go_home(page)

    expect(state(page, "Personio")).to_have_text("Connected")


def test_the_return_page_offers_the_connector_after_an_error(page: Page, stack: DemoStack) -> None:
    """It shows the current state, the reported error as text, and a button to connect again."""
    page.goto(stack.demo)
    page.get_by_role("button", name="Connect Xero").click()
    page.get_by_role("button", name="Simulate an error Xero").click()

    expect(page.get_by_role("heading")).to_have_text("Xero is not connected")
    expect(page.get_by_role("navigation").get_by_role("link", name="Embedded")).to_be_visible()
    page.get_by_text("What the Vault reported").click()
    expect(page.get_by_text("The connector refused the authorization.")).to_be_visible()
    expect(page).to_have_url(f"{stack.demo}/return.html")
    assert page.evaluate("history.length") > 1
    page.get_by_role("button", name="Connect Xero").click()
    expect(page).to_have_url(re.compile(r"/integrations/accounting/xero"))


def test_a_forged_return_link_cannot_change_the_shown_state(page: Page, stack: DemoStack) -> None:
    """The page shows the state that Apideck confirms, even if the link reports another state."""
    with page.expect_response(LISTS) as response:
        page.goto(f"{stack.demo}/return.html?authorizedConnection=xero")
    assert response.value.json() == {"connections": []}
    expect(page.get_by_role("heading")).to_have_text("Xero is not connected")
    connect(page, "Xero")
    page.goto(f"{stack.demo}/return.html?error_type=x&service_id=xero")
    expect(page.get_by_role("heading")).to_have_text("Xero is connected")

    message = "<img src=x onerror=alert(1)>"
    page.goto(f"{stack.demo}/return.html?error_type=x&error_message={message}&ref=javascript:0")

    page.get_by_text("What the Vault reported").last.click()
    expect(page.get_by_text(message)).to_be_visible()
    expect(page.get_by_role("link")).to_have_text(
        ["Fieldnotes", "Integrations", "Embedded", "Back to integrations"]
    )


def test_the_return_page_checks_the_state_before_it_shows_one(page: Page, stack: DemoStack) -> None:
    """Until the service has responded, the page shows that it is checking the connection."""
    held = hold(page, LISTS)
    with page.expect_request(LISTS):
        page.goto(f"{stack.demo}/return.html?authorizedConnection=quickbooks")

    expect(page.get_by_role("heading")).to_have_text("Checking QuickBooks…")
    first_of(page, held).abort()

    expect(page.get_by_role("heading")).to_have_text("The state of QuickBooks is unknown")
    page.unroute_all()
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("heading")).to_have_text("QuickBooks is not connected")


def test_a_double_click_creates_one_session(page: Page, stack: DemoStack) -> None:
    """A double click opens the Vault with only one session."""
    page.goto(stack.demo)

    page.get_by_role("button", name="Manage all").dblclick()

    expect(page.get_by_role("heading", name="Integrations")).to_be_visible()
    expect(page).to_have_url(re.compile(r"/session/"))
    assert len(stack.minted()) == 1


@pytest.mark.parametrize("path", ["/", "/embedded.html"])
def test_the_vault_does_not_open_for_the_previous_user(
    page: Page, stack: DemoStack, path: str
) -> None:
    """If another user signs in while the Vault is opening, the request is cancelled."""
    page.goto(stack.demo + path)
    sign_in(page, ADA)
    button = page.locator("#manage, #open")
    label = button.text_content() or ""
    held = hold(page, "**/vault-session")
    button.click()
    request = first_of(page, held).request

    # The package aborts every request after 30 seconds, so the timeout is shorter.
    with page.expect_event("requestfailed", lambda failed: failed == request, timeout=20_000):
        sign_in(page, OTTO)

    expect(page.get_by_text("Globex GmbH works with")).to_be_visible()
    expect(button).to_have_text(label)
    expect(page.locator(".notice")).to_have_count(0)


@pytest.mark.parametrize("path", ["/", "/embedded.html"])
def test_controls_are_disabled_until_they_work(page: Page, stack: DemoStack, path: str) -> None:
    """The button and the user menu are disabled until the page knows who is signed in."""
    held: list[Route] = []
    page.route("**/people", lambda route: held.append(route))  # noqa: PLW0108 - Playwright requires a function
    with page.expect_request("**/people"):
        page.goto(stack.demo + path)
    button = page.get_by_role("button", name=re.compile("Manage all|Open integrations"))

    expect(button).to_be_disabled()
    expect(page.get_by_label("Signed in as")).to_be_disabled()
    first_of(page, held).continue_()

    expect(button).to_be_enabled()
    expect(page.get_by_label("Signed in as")).to_be_enabled()


def test_the_page_works_after_the_back_button(page: Page, stack: DemoStack) -> None:
    """After the Back button no button is busy."""
    page.goto(stack.demo)
    page.get_by_role("button", name="Manage all").click()
    expect(page).to_have_url(re.compile(r"/session/"))

    go_back(page)

    button = page.locator("#manage")
    expect(button).to_have_text("Manage all")
    button.click()
    expect(page).to_have_url(re.compile(r"/session/"))


def test_the_embedded_variant_stays_on_the_page(page: Page, stack: DemoStack) -> None:
    """The Vault opens in a dialog without a redirect URI; then the page shows the connection."""
    page.goto(f"{stack.demo}/embedded.html")
    button = page.get_by_role("button", name="Open integrations")
    button.click()

    dialog = page.get_by_role("dialog", name="Integrations")
    vault = page.frame_locator("dialog iframe")
    vault.get_by_role("button", name="Connect Xero").click()
    expect(vault.get_by_role("button", name="Disconnect Xero")).to_be_visible()
    [minted] = stack.minted()
    assert "redirect_uri" not in minted["session"]
    dialog.get_by_role("button", name="Close").click()

    expect(dialog).to_be_hidden()
    expect(button).to_be_focused()
    expect(page.locator(".row .about")).to_have_text(["Xero"])


def test_tokens_are_only_in_memory(page: Page, stack: DemoStack) -> None:
    """No storage, cookie or markup of the demo contains a token, including its drawer."""
    page.goto(stack.demo)
    sign_in(page, GRACE)
    connect(page, "Xero")
    page.goto(f"{stack.demo}/embedded.html")
    page.get_by_role("button", name="Open integrations").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    page.get_by_role("button", name="Close").click()
    open_drawer(page, "POST /vault-session")

    stored = page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}])")

    assert "grace" in stored
    for minted in stack.minted():
        assert minted["token"] not in stored + page.content()
    assert "eyJ" not in stored + page.content()
    assert page.context.cookies() == []


def test_all_requests_go_to_loopback(page: Page, stack: DemoStack) -> None:
    """From the first page to the Vault and back, the browser connects to this machine only."""
    urls: list[str] = []
    page.on("request", lambda request: urls.append(request.url))

    page.goto(stack.demo)
    connect(page, "Xero")

    assert len(urls) > 20
    assert [url for url in urls if not url.startswith("http://127.0.0.1:")] == []
