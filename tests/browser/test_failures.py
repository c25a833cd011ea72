"""The demo's messages when something fails, with a button if the user can solve the problem."""

import re

import pytest
from playwright.sync_api import Page, Route, expect

from tests.support.demo_stack import DemoStack
from tests.support.journeys import (
    APIDECK_FAILED,
    OPERATOR_PROBLEM,
    SIGNED_OUT,
    card,
    sign_in,
    state,
)

PROBLEM = "application/problem+json"


def test_a_signed_out_user_is_asked_to_sign_in(page: Page, stack: DemoStack) -> None:
    """The page shows no card, and sends no request to the service."""
    page.goto(stack.demo)
    expect(state(page, "Xero")).to_have_text("Not connected")
    urls: list[str] = []
    page.on("request", lambda request: urls.append(request.url))
    sign_in(page, SIGNED_OUT)

    expect(page.get_by_role("heading", name="Sign in to see your integrations")).to_be_visible()
    expect(page.locator(".card")).to_have_count(0)
    expect(page.get_by_role("button", name="Manage all")).to_be_hidden()
    assert [url for url in urls if url.startswith(stack.service)] == []
    page.get_by_role("button", name="Otto Krämer").click()

    expect(page.get_by_text("Globex GmbH works with")).to_be_visible()
    expect(state(page, "Xero")).to_have_text("Not connected")


def test_a_user_with_an_expired_token_is_asked_to_sign_in(page: Page, stack: DemoStack) -> None:
    """The card asks the user to sign in, and no session is created."""

    def expired(route: Route) -> None:
        route.continue_(url=f"{route.request.url}&expired")

    page.route("**/token?person=*", expired)
    page.goto(stack.demo)

    page.get_by_role("button", name="Open Xero").click()

    alert = card(page, "Xero").get_by_role("alert")
    expect(alert).to_contain_text("You are signed out. Sign in, then try again.")
    alert.get_by_role("button", name="Sign in").click()
    expect(page.get_by_label("Signed in as")).to_be_focused()
    assert stack.minted() == []


def test_a_failure_is_shown_in_the_card_that_was_clicked(page: Page, stack: DemoStack) -> None:
    """On a phone, the whole message is visible in the card whose button was clicked."""
    page.set_viewport_size({"width": 390, "height": 700})
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(stack.demo)
    stack.fail("close", times=None)

    page.get_by_role("button", name="Connect Salesforce").click()

    failure = card(page, "Salesforce").locator(".notice")
    expect(failure).to_contain_text(APIDECK_FAILED)
    expect(failure).to_be_in_viewport(ratio=1)
    failure.get_by_role("button", name="Copy the reference").click()
    expect(page.locator("#status")).to_have_text("The reference was copied")
    assert page.evaluate("navigator.clipboard.readText()") == failure.locator("code").inner_text()


def test_a_failure_of_apideck_can_be_retried(page: Page, stack: DemoStack) -> None:
    """The message has a reference for support, and its button works after Apideck has recovered."""
    page.goto(stack.demo)
    stack.fail("close", times=None)
    button = page.get_by_role("button", name="Connect Xero")

    button.click()

    alert = card(page, "Xero").get_by_role("alert")
    expect(alert).to_contain_text(APIDECK_FAILED)
    expect(alert).to_contain_text(re.compile(r"Reference for support \S+"))
    expect(button).to_have_text("Connect")
    stack.reset()
    alert.get_by_role("button", name="Try again").click()
    expect(page).to_have_url(re.compile(r"/integrations/accounting/xero"))


@pytest.mark.parametrize("fault", ["401", "402"])
def test_a_failure_that_only_the_operator_can_fix_offers_no_retry(
    page: Page, stack: DemoStack, fault: str
) -> None:
    """The message for a wrong key or an exhausted quota does not mention the cause."""
    page.goto(stack.demo)
    stack.fail(fault, times=None)

    page.get_by_role("button", name="Manage all").click()

    alert = page.locator("#notice")
    expect(alert).to_contain_text(OPERATOR_PROBLEM)
    expect(alert).to_contain_text("Reference for support")
    expect(alert.get_by_role("button")).to_have_count(1)  # It copies the reference.
    expect(alert).not_to_contain_text(re.compile(r"key|quota|Apideck|\b40[12]\b"))


def test_a_rate_limit_of_the_service_is_shown(page: Page, stack: DemoStack) -> None:
    """The card shows the message of the service, and offers a retry."""
    limited = {"type": "/problems/rate-limited", "detail": "Too many requests were sent."}
    cors = {"access-control-allow-origin": stack.demo}
    page.route(
        "**/vault-session",
        lambda route: route.fulfill(status=429, json=limited, content_type=PROBLEM, headers=cors),
    )
    page.goto(stack.demo)

    page.get_by_role("button", name="Connect Xero").click()

    alert = card(page, "Xero").get_by_role("alert")
    expect(alert).to_contain_text("Too many requests were sent.")
    expect(alert.get_by_role("button", name="Try again")).to_be_visible()


def test_an_unreachable_service_is_shown(page: Page, stack: DemoStack) -> None:
    """The page shows its own message, and a retry works."""
    page.route("**/vault-session", lambda route: route.abort("connectionrefused"))
    page.goto(stack.demo)

    page.get_by_role("button", name="Manage all").click()

    alert = page.locator("#notice")
    expect(alert).to_contain_text("The service cannot be reached.")
    page.unroute_all()
    alert.get_by_role("button", name="Try again").click()
    expect(page).to_have_url(re.compile(r"/session/"))


def test_an_unreachable_sign_in_is_shown(page: Page, stack: DemoStack) -> None:
    """Without a list of users the page shows a message, and recovers on a retry."""
    page.route("**/people", lambda route: route.abort("connectionrefused"))
    page.goto(stack.demo)

    expect(page.locator("#notice")).to_contain_text("The sign-in cannot be reached.")
    page.unroute_all()
    page.get_by_role("button", name="Try again").click()

    expect(page.get_by_text("Acme Inc. works with")).to_be_visible()
    expect(page.locator("#notice")).to_be_empty()


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
            content_type=PROBLEM,
            headers={"access-control-allow-origin": stack.demo},
        ),
    )
    page.goto(stack.demo)

    alert = page.locator("#notice")
    expect(alert).to_contain_text(APIDECK_FAILED)
    expect(state(page, "Xero")).to_have_text("Unknown")
    page.unroute_all()
    alert.get_by_role("button", name="Try again").click()

    expect(state(page, "Xero")).to_have_text("Not connected")
