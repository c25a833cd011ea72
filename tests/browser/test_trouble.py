"""What the demo's page says when something does not work: a sentence, and what to do about it."""

import re

import pytest
from playwright.sync_api import Page, Route, expect

from demo.__main__ import Demo
from emulators.apideck import ApideckEmulator
from emulators.apideck.emulator import API_KEY
from emulators.issuer import DevelopmentIssuer
from tests.support.demo_stack import DemoStack, demo_stack
from tests.support.journeys import NOBODY, card, sign_in, state

LATER = "Integrations cannot be opened just now; try again shortly."


def test_who_is_signed_out_is_asked_to_sign_in(page: Page, stack: DemoStack) -> None:
    """The button beside the sentence leads to where one signs in; nothing was minted."""
    page.goto(stack.demo)
    sign_in(page, NOBODY)

    page.get_by_role("button", name="Connect Xero").click()

    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("You are signed out. Sign in, then try again.")
    alert.get_by_role("button", name="Sign in").click()
    expect(page.get_by_label("Signed in as")).to_be_focused()
    assert stack.minted() == []


def test_an_expired_sign_in_is_one_that_is_over(page: Page, stack: DemoStack) -> None:
    """A token that has expired is answered like none, and nothing was minted."""

    def expired(route: Route) -> None:
        route.continue_(url=f"{route.request.url}&expired")

    page.route("**/token?person=*", expired)
    page.goto(stack.demo)

    page.get_by_role("button", name="Manage all").click()

    expect(page.get_by_role("alert")).to_contain_text("You are signed out.")
    assert stack.minted() == []


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("close", LATER),
        ("html", LATER),
        ("truncated", LATER),
    ],
)
def test_apideck_down_is_said_and_can_be_tried_again(
    page: Page, stack: DemoStack, fault: str, says: str
) -> None:
    """There is a reference for support, and the button works once Apideck is back."""
    page.goto(stack.demo)
    stack.fail(fault, times=None)
    button = page.get_by_role("button", name="Connect Xero")

    button.click()

    alert = page.get_by_role("alert")
    expect(alert).to_contain_text(says)
    expect(alert).to_contain_text(re.compile(r"Reference for support: \S+"))
    expect(button).to_have_text("Connect")
    stack.reset()
    alert.get_by_role("button", name="Try again").click()
    expect(page).to_have_url(re.compile(r"/integrations/accounting/xero"))


@pytest.mark.parametrize("fault", ["401", "402"])
def test_what_only_the_operator_can_mend_offers_no_button(
    page: Page, stack: DemoStack, fault: str
) -> None:
    """A wrong key or a spent quota is said without a word of keys, and trying again is not."""
    page.goto(stack.demo)
    stack.fail(fault, times=None)

    page.get_by_role("button", name="Manage all").click()

    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("This service cannot open integrations just now.")
    expect(alert).to_contain_text("Reference for support")
    expect(alert.get_by_role("button")).to_have_count(0)
    expect(alert).not_to_contain_text(re.compile("key|quota|Apideck|40[12]"))


def test_apidecks_own_limit_is_said(page: Page, stack: DemoStack) -> None:
    """Where Apideck wants a minute of quiet, nobody is kept waiting for it."""
    page.goto(stack.demo)
    stack.fail("429", times=None, retry_after="60")

    page.get_by_role("button", name="Manage all").click()

    expect(page.get_by_role("alert")).to_contain_text(LATER)
    assert stack.minted() == []


def test_who_asks_too_often_is_told_so(page: Page) -> None:
    """The second session of an hour that allows one is refused in words."""
    with demo_stack(LIMITS__PER_USER="1/hour") as stack:
        page.goto(stack.demo)
        page.get_by_role("button", name="Connect Xero").click()
        page.get_by_role("link", name="Back to").click()
        page.goto(stack.demo)

        page.get_by_role("button", name="Connect Xero").click()

        alert = page.get_by_role("alert")
        expect(alert).to_contain_text("Too many sessions were requested. Try again later.")
        expect(alert.get_by_role("button", name="Try again")).to_be_visible()
        assert len(stack.minted()) == 1


def test_a_service_that_is_not_there_is_said(page: Page, stack: DemoStack) -> None:
    """The page neither hangs nor shows what the browser calls it."""
    page.route("**/vault-session", lambda route: route.abort("connectionrefused"))
    page.goto(stack.demo)

    page.get_by_role("button", name="Manage all").click()

    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("The service cannot be reached.")
    page.unroute_all()
    alert.get_by_role("button", name="Try again").click()
    expect(page).to_have_url(re.compile(r"/session/"))


def test_a_sign_in_that_is_not_there_is_said(page: Page, stack: DemoStack) -> None:
    """Without knowing who can sign in the page says so, and recovers."""
    page.route("**/people", lambda route: route.abort("connectionrefused"))
    page.goto(stack.demo)

    expect(page.get_by_role("alert")).to_contain_text("The sign-in cannot be reached.")
    page.unroute_all()
    page.get_by_role("button", name="Try again").click()

    expect(page.get_by_text("Acme Inc. works with")).to_be_visible()
    expect(page.get_by_role("alert")).to_be_empty()


def test_not_knowing_what_is_connected_is_said(page: Page, stack: DemoStack) -> None:
    """No card claims anything, each still leads to the Vault, and trying again mends it."""
    page.route("**/connections", lambda route: route.abort("connectionrefused"))
    page.goto(stack.demo)

    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("What is connected could not be loaded.")
    expect(state(page, "Xero")).to_have_text("Not known just now")
    expect(card(page, "Xero").get_by_role("button", name="Open Xero")).to_be_enabled()
    page.unroute_all()
    alert.get_by_role("button", name="Try again").click()

    expect(state(page, "Xero")).to_have_text("Not connected")
    expect(alert).to_be_empty()


def test_apideck_that_does_not_tell_what_is_connected_is_said(
    page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where Apideck refuses the demo's server, the page has its sentence; then it recovers."""
    apideck, issuer = ApideckEmulator(["another key"]), DevelopmentIssuer()
    with apideck.serve() as apideck_url, issuer.serve() as issuer_url:
        monkeypatch.setenv("APIDECK_URL", apideck_url)
        monkeypatch.setenv("ISSUER_URL", issuer_url)
        with Demo().serve() as demo:
            page.goto(demo)

            alert = page.get_by_role("alert")
            expect(alert).to_contain_text("It cannot be found out just now what is connected.")
            expect(state(page, "Xero")).to_have_text("Not known just now")
            apideck.accepted.add(f"Bearer {API_KEY}")
            alert.get_by_role("button", name="Try again").click()

            expect(state(page, "Xero")).to_have_text("Not connected")
