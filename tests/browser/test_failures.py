"""What the demo shows when something fails: a message, and a button where one helps."""

import re

import pytest
from playwright.sync_api import Page, Route, expect

from tests.support.demo_stack import DemoStack, demo_stack
from tests.support.journeys import (
    APIDECK_FAILED,
    OPERATOR_PROBLEM,
    SIGNED_OUT,
    card,
    sign_in,
    state,
)


def test_a_signed_out_user_has_to_sign_in(page: Page, stack: DemoStack) -> None:
    """The button beside the message leads to the sign-in, and no session is created."""
    page.goto(stack.demo)
    sign_in(page, SIGNED_OUT)

    page.get_by_role("button", name="Connect Xero").click()

    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("You are signed out. Sign in, then try again.")
    alert.get_by_role("button", name="Sign in").click()
    expect(page.get_by_label("Signed in as")).to_be_focused()
    assert stack.minted() == []


def test_a_user_with_an_expired_token_is_signed_out(page: Page, stack: DemoStack) -> None:
    """An expired token has the same effect as none, and no session is created."""

    def expired(route: Route) -> None:
        route.continue_(url=f"{route.request.url}&expired")

    page.route("**/token?person=*", expired)
    page.goto(stack.demo)

    page.get_by_role("button", name="Manage all").click()

    expect(page.get_by_role("alert")).to_contain_text("You are signed out.")
    assert stack.minted() == []


@pytest.mark.parametrize("fault", ["close", "html", "truncated"])
def test_a_failure_of_apideck_can_be_retried(page: Page, stack: DemoStack, fault: str) -> None:
    """The message has a reference for support, and its button works once Apideck works again."""
    page.goto(stack.demo)
    stack.fail(fault, times=None)
    button = page.get_by_role("button", name="Connect Xero")

    button.click()

    alert = page.get_by_role("alert")
    expect(alert).to_contain_text(APIDECK_FAILED)
    expect(alert).to_contain_text(re.compile(r"Reference for support: \S+"))
    expect(button).to_have_text("Connect")
    stack.reset()
    alert.get_by_role("button", name="Try again").click()
    expect(page).to_have_url(re.compile(r"/integrations/accounting/xero"))


@pytest.mark.parametrize("fault", ["401", "402"])
def test_a_failure_that_only_the_operator_can_fix_has_no_button(
    page: Page, stack: DemoStack, fault: str
) -> None:
    """The message for a wrong key or an exhausted quota reveals neither and offers no retry."""
    page.goto(stack.demo)
    stack.fail(fault, times=None)

    page.get_by_role("button", name="Manage all").click()

    alert = page.get_by_role("alert")
    expect(alert).to_contain_text(OPERATOR_PROBLEM)
    expect(alert).to_contain_text("Reference for support")
    expect(alert.get_by_role("button")).to_have_count(0)
    expect(alert).not_to_contain_text(re.compile("key|quota|Apideck|40[12]"))


def test_a_rate_limit_of_apideck_is_shown(page: Page, stack: DemoStack) -> None:
    """When Apideck asks for a minute's pause, the user gets the message at once."""
    page.goto(stack.demo)
    stack.fail("429", times=None, retry_after="60")

    page.get_by_role("button", name="Manage all").click()

    expect(page.get_by_role("alert")).to_contain_text(APIDECK_FAILED)
    assert stack.minted() == []


def test_a_rate_limit_of_the_service_is_shown(page: Page) -> None:
    """With one session per hour allowed, the second attempt shows a message."""
    with demo_stack(LIMITS__PER_USER="1/hour") as stack:
        page.goto(stack.demo)
        page.get_by_role("button", name="Connect Xero").click()
        page.get_by_role("link", name="Back to").click()
        page.goto(stack.demo)

        page.get_by_role("button", name="Connect Xero").click()

        alert = page.get_by_role("alert")
        expect(alert).to_contain_text("Too many requests were sent. Try again later.")
        expect(alert.get_by_role("button", name="Try again")).to_be_visible()
        assert len(stack.minted()) == 1


def test_an_unreachable_service_is_shown(page: Page, stack: DemoStack) -> None:
    """The page does not hang, and shows its own message instead of the browser's error."""
    page.route("**/vault-session", lambda route: route.abort("connectionrefused"))
    page.goto(stack.demo)

    page.get_by_role("button", name="Manage all").click()

    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("The service cannot be reached.")
    page.unroute_all()
    alert.get_by_role("button", name="Try again").click()
    expect(page).to_have_url(re.compile(r"/session/"))


def test_an_unreachable_sign_in_is_shown(page: Page, stack: DemoStack) -> None:
    """Without a list of users the page shows a message, and recovers on a retry."""
    page.route("**/people", lambda route: route.abort("connectionrefused"))
    page.goto(stack.demo)

    expect(page.get_by_role("alert")).to_contain_text("The sign-in cannot be reached.")
    page.unroute_all()
    page.get_by_role("button", name="Try again").click()

    expect(page.get_by_text("Acme Inc. works with")).to_be_visible()
    expect(page.get_by_role("alert")).to_be_empty()


def test_unknown_connections_are_shown_as_unknown(page: Page, stack: DemoStack) -> None:
    """Each card says that its state is unknown, still opens the Vault, and recovers on a retry."""
    page.route("**/vault-connections*", lambda route: route.abort("connectionrefused"))
    page.goto(stack.demo)

    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("The service cannot be reached.")
    expect(state(page, "Xero")).to_have_text("Unknown")
    expect(card(page, "Xero").get_by_role("button", name="Open Xero")).to_be_enabled()
    page.unroute_all()
    alert.get_by_role("button", name="Try again").click()

    expect(state(page, "Xero")).to_have_text("Not connected")
    expect(alert).to_be_empty()


def test_connections_that_apideck_does_not_return_are_shown_as_unknown(
    page: Page, stack: DemoStack
) -> None:
    """When Apideck fails, the page shows the service's message, and recovers on a retry."""
    unavailable = {"type": "/problems/apideck-unavailable", "detail": APIDECK_FAILED}
    page.route(
        "**/vault-connections*",
        lambda route: route.fulfill(
            status=503,
            json=unavailable,
            headers={"access-control-allow-origin": stack.demo},
        ),
    )
    page.goto(stack.demo)

    alert = page.get_by_role("alert")
    expect(alert).to_contain_text(APIDECK_FAILED)
    expect(state(page, "Xero")).to_have_text("Unknown")
    page.unroute_all()
    alert.get_by_role("button", name="Try again").click()

    expect(state(page, "Xero")).to_have_text("Not connected")
