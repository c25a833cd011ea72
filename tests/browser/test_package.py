"""The npm package in another web application, from `npm pack` to the browser."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from emulators.apideck import faults
from tests.support.browser import go_back
from tests.support.journeys import APIDECK_FAILED
from tests.support.published import APP, SERVICE, VAULT, Published
from tests.support.samples import PACKAGE, recommended_headers, sample
from tests.support.vite_app import build, install, missing_app

pytestmark = pytest.mark.skipif(missing_app() is not None, reason=str(missing_app()))


@pytest.fixture(scope="module")
def installed() -> Iterator[Path]:
    """Return the web application with the package installed."""
    with TemporaryDirectory() as folder:
        commands = sample("With the npm package", "sh").code
        components = {
            "VaultButton": sample("With React", "tsx").code,
            "Integrations": sample("With React", "tsx", 1).code,
        }
        yield install(Path(folder), commands, components)


@pytest.fixture(scope="module")
def _built(installed: Path) -> dict[str, Response]:
    return build(installed)


@pytest.fixture
def page(page: Page, servers: Published, _built: dict[str, Response]) -> Page:
    """Return a page of the web application; its user is signed in and has one connection."""
    for prefix in ("main", "spa"):
        servers.apideck.connect("app", f"{prefix}:acme", "accounting", "quickbooks")
    servers.sites.pages |= _built
    servers.sites.pages[f"{APP}/token"] = PlainTextResponse(servers.issuer.token())
    return page


def connect(page: Page) -> Locator:
    """Return the button that opens Xero, whether Xero is connected or not."""
    return page.get_by_role("button", name=re.compile("^(Connect|Manage) Xero$"))


def lists(servers: Published) -> int:
    """Return how many requests for connections the Apideck emulator has received."""
    return sum(request.method == "GET" for request in servers.apideck.requests)


def test_the_package_has_exactly_the_expected_files(installed: Path) -> None:
    """The package has modules, types, a license and a readme, and no dependencies."""
    package = installed / "node_modules" / "vault-bff-client"
    description = json.loads((package / "package.json").read_text())

    assert sorted(path.name for path in package.iterdir()) == [
        "LICENSE",
        "README.md",
        "index.d.ts",
        "index.js",
        "package.json",
        "react.d.ts",
        "react.js",
    ]
    assert "dependencies" not in description


def test_package_managers_and_bundlers_find_every_file(installed: Path) -> None:
    """The linter publint finds no mistake in package.json."""
    publint = installed / "node_modules" / ".bin" / "publint"
    package = installed / "node_modules" / "vault-bff-client"

    ended = subprocess.run(
        [publint, "--strict", "--pack", "false", package],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert ended.returncode == 0, ended.stdout


def test_a_user_connects_a_system(page: Page, servers: Published) -> None:
    """The page lists connectors, opens the Vault, and lists the connection after the return."""
    page.goto(APP)
    listed = page.get_by_role("listitem")
    expect(listed.filter(has_text="QuickBooks: connected")).to_be_visible()
    expect(listed.filter(has_text="Xero: not connected")).to_be_visible()

    page.get_by_role("button", name="Connect Xero").click()
    expect(page).to_have_url(re.compile(f"^{VAULT}/integrations/accounting/xero"))
    page.get_by_role("button", name="Connect Xero").click()
    page.get_by_role("link", name="Back to app.example.com").click()

    expect(page).to_have_url(re.compile(f"^{APP}/return"))
    expect(listed.filter(has_text="Xero: connected")).to_be_visible()
    assert len(servers.apideck.minted) == 1
    assert lists(servers) == 2


def test_a_rejected_token_is_renewed_once(page: Page, servers: Published) -> None:
    """With an expired token, the list and the Vault each request a new token once, and succeed."""
    servers.sites.pages[f"{APP}/token"] = PlainTextResponse("expired")
    servers.sites.pages[f"{APP}/token/new"] = PlainTextResponse(servers.issuer.token())

    page.goto(APP)
    connect(page).click()

    expect(page).to_have_url(re.compile(f"^{VAULT}/integrations/accounting/xero"))
    assert servers.sites.requests.count(f"GET {APP}/token/new") == 2


def test_the_cookie_of_the_application_identifies_the_user(
    page: Page, context: BrowserContext, servers: Published
) -> None:
    """With cookies the page sends no token."""
    token = servers.issuer.token(aud="spa")
    context.add_cookies([{"name": "__Host-session", "value": token, "url": SERVICE}])

    page.goto(f"{APP}/#cookie")
    connect(page).click()

    expect(page).to_have_url(re.compile(f"^{VAULT}/integrations/accounting/xero"))
    assert [minted.consumer_id for minted in servers.apideck.minted] == ["spa:acme"]
    assert f"GET {APP}/token" not in servers.sites.requests


def test_a_problem_is_shown_and_the_next_attempt_succeeds(page: Page, servers: Published) -> None:
    """While Apideck is down, the page shows the service's message; then the list and Vault work."""
    message = page.get_by_text(f"{APIDECK_FAILED} Reference: ")
    servers.apideck.fail_connections(faults.error(500))
    page.goto(APP)
    expect(message).to_be_visible()
    servers.apideck.fail_connections(None)
    page.get_by_role("button", name="Try again").click()
    expect(connect(page)).to_be_visible()
    expect(message).to_have_count(0)

    servers.apideck.fail(faults.error(500), times=None)
    connect(page).click()
    expect(message).to_be_visible()
    servers.apideck.reset()
    connect(page).click()

    expect(page).to_have_url(re.compile(f"^{VAULT}/integrations/accounting/xero"))


def test_the_back_button_returns_to_a_page_that_works(page: Page, servers: Published) -> None:
    """A page that the browser restores is not busy, and requests the connections again."""
    page.goto(APP)
    button = page.get_by_role("button", name="Manage integrations")
    expect(connect(page)).to_be_visible()
    button.click()
    expect(page).to_have_url(re.compile(f"^{VAULT}/session/"))

    go_back(page)
    expect(button).to_have_attribute("aria-busy", "false")
    expect(page.locator("section")).to_have_attribute("aria-busy", "false")
    assert lists(servers) == 2
    button.click()

    expect(page).to_have_url(re.compile(f"^{VAULT}/session/"))


def test_an_unknown_error_reaches_the_error_boundary(page: Page, servers: Published) -> None:
    """An error of the application's own token function is not shown as a problem."""
    del servers.sites.pages[f"{APP}/token"]

    page.goto(APP)

    expect(page.get_by_role("heading")).to_have_text("Error: The sign-in was lost.")
    assert servers.apideck.requests == []


def test_the_package_works_with_a_script_tag(
    page: Page, context: BrowserContext, servers: Published
) -> None:
    """The package's module opens the Vault from a page that has no build step."""
    module = (PACKAGE / "index.js").read_text()
    script = sample("With the npm package", "js", 2).code
    for name, code in (("vault-bff-client.js", module), ("integrations.js", script)):
        servers.sites.pages[f"{APP}/{name}"] = Response(code, media_type="text/javascript")
    body = sample("With the npm package", "html").code
    servers.sites.pages[f"{APP}/"] = HTMLResponse(body, headers=recommended_headers())
    page.goto(APP)
    with page.expect_event("dialog") as shown:
        page.on("dialog", lambda dialog: dialog.accept())
        page.get_by_role("button", name="Manage integrations").click()
    assert "sign" in shown.value.message.lower()
    token = servers.issuer.token(aud="spa")
    context.add_cookies([{"name": "__Host-session", "value": token, "url": SERVICE}])

    page.get_by_role("button", name="Manage integrations").click()

    expect(page).to_have_url(re.compile(f"^{VAULT}/session/"))
