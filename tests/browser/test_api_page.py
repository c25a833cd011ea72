"""The interactive API page, which `SERVER__DOCS=true` enables.

The browser cannot connect to other hosts, so these tests show that the page works without a CDN.
"""

import json
import re
import typing
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from app.api.responses import OF_SESSIONS
from app.sessions.models import SessionRequest
from emulators.apideck import ApideckEmulator
from emulators.issuer import DevelopmentIssuer
from tests.support.ports import free_ports
from tests.support.process import environment_for, serving, url


@pytest.fixture(scope="module")
def issuer() -> Iterator[DevelopmentIssuer]:
    """Run an issuer."""
    issuer = DevelopmentIssuer()
    with issuer.serve():
        yield issuer


@pytest.fixture(scope="module")
def api_page(issuer: DevelopmentIssuer) -> Iterator[str]:
    """Run a service that accepts every kind of credential; yields the URL of the page."""
    main, gateway, web = (f"IDENTITY__ISSUERS__{name}" for name in ("MAIN", "GATEWAY", "WEB"))
    with ApideckEmulator().serve() as apideck_url:
        environment = {
            **environment_for(issuer.issuer, apideck_url, free_ports()),
            f"{main}__CLAIMS__CONSUMER_ID": "org_id",
            f"{main}__CONSUMER_PREFIX": "main:",
            f"{gateway}__ISSUER": "https://gateway.example",
            f"{gateway}__AUDIENCE": "x",
            f"{gateway}__CREDENTIAL__HEADER": "X-Assertion",
            f"{gateway}__CONSUMER_PREFIX": "gateway:",
            f"{web}__ISSUER": "https://web.example",
            f"{web}__AUDIENCE": "x",
            f"{web}__CREDENTIAL__COOKIE": "__Host-session",
            f"{web}__CONSUMER_PREFIX": "web:",
            "CORS__ALLOW_ORIGINS": '["https://app.example.com"]',
            "SERVER__DOCS": "true",
        }
        with serving(environment):
            yield url(environment, "/docs")


def open_operation(page: Page, api_page: str) -> Locator:
    """Open the page and the operation that creates a session; return the operation."""
    page.route(re.compile(r"^https:"), lambda route: route.abort())
    page.goto(api_page)
    button = page.get_by_role("button", name="Create a Vault session")
    button.click()
    return page.locator(".opblock").filter(has=button)


@pytest.fixture(scope="module")
def operation(browser: Browser, api_page: str) -> Iterator[Locator]:
    """Return the operation on a page that tests share, because opening a page takes seconds."""
    with browser.new_context(viewport={"width": 1280, "height": 800}) as context:
        yield open_operation(context.new_page(), api_page)


def expect_example(shown: Locator, value: object) -> None:
    """Expect this example in the tab "Example Value"."""
    code = shown.get_by_role("tabpanel", name="Example Value").locator("code")
    expect(code).to_have_text(json.dumps(value, indent=2, ensure_ascii=False))


def test_the_page_explains_the_operation(operation: Locator) -> None:
    """The page names the service and describes the operation."""
    expect(operation.page.get_by_role("heading", name="Vault BFF")).to_be_visible()
    expect(operation).to_contain_text("Create a Vault session")
    expect(operation).to_contain_text("return where to send their browser.")
    expect(operation).to_contain_text("Every error is a problem (RFC 9457)")


def test_the_page_lists_every_field_of_the_request(operation: Locator) -> None:
    """The schema describes each field and its required members, and forbids other fields."""
    body = operation.locator(".opblock-section-request-body")
    expect(body).to_contain_text("Optional, and so is every field. At most 16 KiB")

    body.get_by_role("tab", name="Schema").click()

    fields = body.get_by_role("tabpanel", name="Schema")
    for name in typing.get_type_hints(SessionRequest):
        expect(fields.get_by_role("button", name=name, exact=True)).to_be_visible()
    expect(fields).to_contain_text("Additional propertiesforbidden")
    fields.get_by_role("button", name="connection", exact=True).click()
    expect(fields).to_contain_text("Opens the page of this connector instead of the list.")
    fields.get_by_role("button", name="service_id*").click()
    expect(fields).to_contain_text("Such as quickbooks.")


def test_the_page_offers_examples_of_requests(operation: Locator) -> None:
    """The default example is empty, and another example can be selected by its name."""
    body = operation.locator(".opblock-section-request-body")
    body.get_by_role("tab", name="Example Value").click()
    expect_example(body, {})
    choice = body.get_by_role("combobox").last

    choice.select_option("straight to one connector")

    connection = {"unified_api": "accounting", "service_id": "quickbooks"}
    expect_example(body, {"return_to": "settings", "connection": connection})


def test_the_page_lists_every_problem_by_its_status(operation: Locator) -> None:
    """Each status lists its problems, and shows an example of each."""
    statuses = sorted({201, *(one.status for one in OF_SESSIONS)})
    expect(operation.locator("tr.response .response-col_status")).to_have_text(
        [str(status) for status in statuses]
    )

    for problem in OF_SESSIONS:
        row = operation.locator(f"tr.response[data-code='{problem.status}']")
        expect(row.locator(".response-col_description")).to_contain_text(problem.title)
        row.get_by_role("combobox").last.select_option(problem.slug)
        code = row.get_by_role("tabpanel", name="Example Value").locator("code")
        expect(code).to_contain_text(f'"type": "/problems/{problem.slug}"')
        expect(code).to_contain_text(f'"title": "{problem.title}"')


def test_the_page_lists_the_security_schemes(page: Page, api_page: str) -> None:
    """The dialog explains every kind of credential that the settings allow."""
    open_operation(page, api_page)
    page.get_by_role("button", name="Authorize").click()

    schemes = page.locator(".dialog-ux .auth-container")
    for scheme, text in (
        ("bearer", "An access token of a person or a service (RFC 6750)."),
        ("header-x-assertion", "such as the signed assertion of a gateway."),
        ("cookie-__Host-session", "The cookie of a person who is signed in"),
        ("csrfHeader", "Required with a cookie"),
    ):
        shown = schemes.filter(has=page.get_by_role("heading", name=scheme))
        expect(shown).to_contain_text(text)
    expect(schemes).to_have_count(4)


def test_the_page_sends_requests(page: Page, api_page: str, issuer: DevelopmentIssuer) -> None:
    """With a token the page creates a session; without one it shows the problem."""
    operation = open_operation(page, api_page)
    operation.get_by_role("button", name="Try it out").click()
    operation.get_by_role("button", name="Execute").click()
    live = operation.locator(".live-responses-table")
    expect(live).to_contain_text("401")
    expect(live).to_contain_text("/problems/unauthenticated")

    page.get_by_role("button", name="Authorize").click()
    page.get_by_label("auth-bearer-value").fill(issuer.token())
    bearer = page.locator(".auth-container").filter(has_text="(http, Bearer)")
    bearer.get_by_role("button", name="Apply credentials").click()
    expect(bearer.get_by_role("heading", name="Authorized", exact=True)).to_be_visible()
    page.get_by_role("button", name="Close").first.click()
    operation.get_by_role("button", name="Execute").click()

    expect(live).to_contain_text("201")
    expect(live).to_contain_text("session_token")
