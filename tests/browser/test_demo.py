"""What a person meets who clicks through the demo."""

import re

import pytest
from playwright.sync_api import Page, Route, expect

from tests.support.demo_stack import DemoStack
from tests.support.journeys import ADA, GRACE, OTTO, card, connect, go_home, sign_in, state


def test_a_person_connects_in_their_own_vault_and_returns(page: Page, stack: DemoStack) -> None:
    """The Vault has their name, tenant and theme; back home the card says connected."""
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


def test_a_second_tenant_sees_none_of_it(page: Page, stack: DemoStack) -> None:
    """Neither the demo nor the Vault tells Otto what Ada's organisation has connected."""
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


def test_an_answer_that_comes_late_is_not_shown_to_who_came_after(
    page: Page, stack: DemoStack
) -> None:
    """What was asked for Ada arrives when Otto is signed in, and tells him nothing."""
    page.goto(stack.demo)
    connect(page, "Xero")
    held: list[Route] = []
    page.route("**/connections", lambda one: one.continue_() if held else held.append(one))
    with page.expect_request("**/connections"):
        page.goto(stack.demo)
    expect(state(page, "Xero")).to_have_text("Checking…")
    sign_in(page, OTTO)
    expect(state(page, "Xero")).to_have_text("Not connected")

    with page.expect_response("**/connections") as late:
        held[0].continue_()

    assert [one["service_id"] for one in late.value.json()] == ["xero"]
    # Two turns of the page's own: by then it has done with the answer what it does.
    page.evaluate("() => new Promise((done) => setTimeout(() => setTimeout(done, 50), 50))")
    expect(state(page, "Xero")).to_have_text("Not connected")


def test_colleagues_share_what_is_connected(page: Page, stack: DemoStack) -> None:
    """A connection is the organisation's: a colleague's card says so in another tab."""
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


@pytest.mark.parametrize("way", ["Back button", "address"])
@pytest.mark.parametrize(
    ("click", "then", "verb"),
    [("Disconnect", "Not connected", "Connect"), ("Disable", "Disabled", "Manage")],
)
def test_what_was_changed_in_the_vault_shows_on_the_card(
    page: Page, stack: DemoStack, click: str, then: str, verb: str, way: str
) -> None:
    """However one comes back, the card does not go on saying what is over."""
    page.goto(stack.demo)
    connect(page, "Xero")
    go_home(page)
    expect(state(page, "Xero")).to_have_text("Connected")
    page.get_by_role("button", name="Manage all").click()
    page.get_by_role("button", name=f"{click} Xero").click()
    expect(card(page, "Xero").get_by_text(then, exact=True)).to_be_visible()

    if way == "address":
        page.goto(stack.demo)
    else:
        # The Vault's own pages come first.
        while page.url.startswith(stack.apideck):
            page.go_back(wait_until="commit")

    expect(state(page, "Xero")).to_have_text(then)
    expect(card(page, "Xero").get_by_role("button")).to_have_text(verb)


def test_what_is_connected_is_being_checked_until_it_is_known(page: Page, stack: DemoStack) -> None:
    """Until then a card promises neither, and its button is off; other buttons are not."""
    held: list[Route] = []
    page.route("**/connections", lambda route: held.append(route))  # noqa: PLW0108 - wants a function
    with page.expect_request("**/connections"):
        page.goto(stack.demo)

    expect(state(page, "Xero")).to_have_text("Checking…")
    expect(card(page, "Xero").get_by_role("button")).to_be_disabled()
    expect(page.get_by_role("button", name="Manage all")).to_be_enabled()
    held[0].continue_()

    expect(state(page, "Xero")).to_have_text("Not connected")
    expect(page.get_by_role("button", name="Connect Xero")).to_be_enabled()


def test_an_error_on_the_way_back_is_told_as_text(page: Page, stack: DemoStack) -> None:
    """The headline is the demo's own, what was reported stands below, and the address is clean."""
    page.goto(stack.demo)
    page.get_by_role("button", name="Connect Xero").click()
    page.get_by_role("button", name="Simulate an error Xero").click()

    expect(page.get_by_role("heading")).to_have_text("Xero was not connected")
    page.get_by_text("What was reported").click()
    expect(page.get_by_text("The connector refused the authorization.")).to_be_visible()
    expect(page).to_have_url(f"{stack.demo}/return.html")
    assert page.evaluate("history.length") > 1


def test_a_link_from_elsewhere_cannot_claim_a_connection(page: Page, stack: DemoStack) -> None:
    """What Apideck does not confirm is not believed, and markup stays text."""
    with page.expect_response("**/connections") as answer:
        page.goto(f"{stack.demo}/return.html?authorizedConnection=xero")
    assert answer.value.json() == []
    expect(page.get_by_role("heading")).to_have_text("Welcome back")

    message = "<img src=x onerror=alert(1)>"
    page.goto(f"{stack.demo}/return.html?error_type=x&error_message={message}&ref=javascript:0")

    page.get_by_text("What was reported").click()
    expect(page.get_by_text(message)).to_be_visible()
    expect(page.get_by_role("link")).to_have_text(["Fieldnotes", "Back to integrations"])


def test_a_double_click_is_one_session(page: Page, stack: DemoStack) -> None:
    """Whoever clicks twice gets to the Vault once."""
    page.goto(stack.demo)

    page.get_by_role("button", name="Manage all").dblclick()

    expect(page.get_by_role("heading", name="Integrations")).to_be_visible()
    expect(page).to_have_url(re.compile(r"/session/"))
    assert len(stack.minted()) == 1


@pytest.mark.parametrize("path", ["/", "/embedded.html"])
def test_nothing_can_be_clicked_before_it_works(page: Page, stack: DemoStack, path: str) -> None:
    """Until it is known who is signed in, button and choice are off; then they are on."""
    held: list[Route] = []
    page.route("**/people", lambda route: held.append(route))  # noqa: PLW0108 - wants a function
    with page.expect_request("**/people"):
        page.goto(stack.demo + path)
    button = page.get_by_role("button", name=re.compile("Manage all|Open integrations"))

    expect(button).to_be_disabled()
    expect(page.get_by_label("Signed in as")).to_be_disabled()
    held[0].continue_()

    expect(button).to_be_enabled()
    expect(page.get_by_label("Signed in as")).to_be_enabled()


def test_the_browsers_back_button_finds_a_page_that_works(page: Page, stack: DemoStack) -> None:
    """No button is left saying that it opens something."""
    page.goto(stack.demo)
    page.get_by_role("button", name="Manage all").click()
    expect(page).to_have_url(re.compile(r"/session/"))

    page.go_back(wait_until="commit")

    button = page.locator("#manage")
    expect(button).to_have_text("Manage all")
    button.click()
    expect(page).to_have_url(re.compile(r"/session/"))


def test_a_person_who_embeds_stays_on_the_page(page: Page, stack: DemoStack) -> None:
    """Vault JS's stand-in is handed a token without a way back; closing returns the focus."""
    page.goto(f"{stack.demo}/embedded.html")
    button = page.get_by_role("button", name="Open integrations")
    button.click()

    dialog = page.get_by_role("dialog", name="Vault JS would open here")
    expect(dialog).to_be_visible()
    [minted] = stack.minted()
    expect(dialog).to_contain_text(f"{minted['token'][:12]}… ({len(minted['token'])} characters)")
    assert "redirect_uri" not in minted["session"]
    dialog.get_by_role("button", name="Close").click()
    expect(dialog).to_be_hidden()
    expect(button).to_be_focused()


def test_a_token_is_in_memory_and_nowhere_else(page: Page, stack: DemoStack) -> None:
    """After a connection and an embedding no storage, cookie or markup has one."""
    page.goto(stack.demo)
    sign_in(page, GRACE)
    connect(page, "Xero")
    page.goto(f"{stack.demo}/embedded.html")
    page.get_by_role("button", name="Open integrations").click()
    expect(page.get_by_role("dialog")).to_be_visible()

    kept = page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}])")

    assert "grace" in kept
    for minted in stack.minted():
        assert minted["token"] not in kept + page.content()
    assert "eyJ" not in kept
    assert page.context.cookies() == []


def test_nothing_leaves_the_machine(page: Page, stack: DemoStack) -> None:
    """From the first page to the Vault and back, every request goes to loopback."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))

    page.goto(stack.demo)
    connect(page, "Xero")

    assert len(asked) > 20
    assert [url for url in asked if not url.startswith("http://127.0.0.1:")] == []
