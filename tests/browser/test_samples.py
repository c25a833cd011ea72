"""Every sample of docs/frontend.md, run in a page with the headers that the docs recommend.

The host names of the samples work in these tests, so the samples run unchanged. The embedded
variant is in test_vault_js.py, and React is in test_package.py.
"""

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from playwright.sync_api import BrowserContext, Page, expect
from starlette.responses import HTMLResponse, PlainTextResponse

from emulators.apideck import faults
from emulators.serving import serve
from tests.support.browser import missing_packages
from tests.support.journeys import APIDECK_FAILED
from tests.support.published import APP, SERVICE, VAULT, Published
from tests.support.samples import bundle, html_page, sample

pytestmark = pytest.mark.skipif(missing_packages() is not None, reason=str(missing_packages()))


@pytest.fixture(autouse=True)
def _no_policy_violation(page: Page) -> Iterator[None]:
    logged: list[str] = []
    page.on("console", lambda message: logged.append(message.text))
    yield
    assert [text for text in logged if "Content Security Policy" in text] == []


def publish(servers: Published, folder: Path, code: str, main: str, body: str = "") -> None:
    """Serve a page at https://app.example.com with a sample and a script that uses it."""
    for path in ("", "return"):
        servers.sites.pages[f"{APP}/{path}"] = html_page(body)
    servers.sites.pages[f"{APP}/main.js"] = bundle(folder, code, main)
    servers.sites.pages[f"{APP}/token"] = PlainTextResponse(servers.issuer.token())


@pytest.fixture
def sample_server(
    servers: Published, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ModuleType]:
    """Run the server of the docs as the web application, with the form on its first page."""
    monkeypatch.setenv("VAULT_SESSION_URL", f"{servers.service_url}/vault-session")
    (tmp_path / "server.py").write_text(sample("Server-rendered pages", "python").code)
    spec = importlib.util.spec_from_file_location("server", tmp_path / "server.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.access_tokens["adas"] = servers.issuer.token()
    form = html_page(sample("Server-rendered pages", "html").code)
    module.app.add_route("/", lambda _: form)
    with serve(module.app) as url, servers.forward("app.example.com", url):
        yield module


def sign_in(context: BrowserContext, servers: Published) -> None:
    """Give the browser the cookie of a signed-in user."""
    token = servers.issuer.token(aud="spa")
    context.add_cookies([{"name": "__Host-session", "value": token, "url": SERVICE}])


def test_the_sample_with_fetch(page: Page, servers: Published, tmp_path: Path) -> None:
    """One POST opens the user's Vault; a rejection is an error with a reason."""
    code = sample("With fetch", "js").code + "export { openVault };"
    publish(servers, tmp_path, code, 'globalThis.sample = await import("./sample");')
    page.goto(APP)

    rejected = "sample.openVault('expired').catch((error) => error.message)"
    assert page.evaluate(rejected) == "Your sign-in is not valid. Please sign in again."
    page.evaluate("token => sample.openVault(token)", servers.issuer.token())

    expect(page).to_have_url(re.compile(f"^{VAULT}/session/"))
    expect(page.get_by_role("complementary")).to_contain_text("Ada Byron")


def test_the_sample_of_the_package_with_a_token(
    page: Page, servers: Published, tmp_path: Path
) -> None:
    """The package opens the connector, or shows a message that a user understands."""
    code = sample("With the npm package", "js").code
    publish(servers, tmp_path, code, 'globalThis.sample = await import("./sample");')
    page.goto(APP)
    shown = "token => new Promise((show) => sample.connect(async () => token, show))"

    assert page.evaluate(shown, "expired") == "Please sign in again."
    servers.apideck.fail(faults.error(500), times=None)
    assert page.evaluate(shown, servers.issuer.token()) == APIDECK_FAILED
    servers.apideck.reset()
    page.evaluate("token => sample.connect(async () => token)", servers.issuer.token())

    expect(page).to_have_url(re.compile(f"^{VAULT}/integrations/accounting/xero"))


def test_the_sample_of_the_package_with_a_cookie(
    page: Page, context: BrowserContext, servers: Published, tmp_path: Path
) -> None:
    """The cookie alone identifies the caller."""
    code = sample("With the npm package", "js", 1).code
    publish(servers, tmp_path, code, 'globalThis.sample = await import("./sample");')
    page.goto(APP)

    rejected = "sample.connect().catch((error) => error.type)"
    assert page.evaluate(rejected) == "unauthenticated"
    sign_in(context, servers)
    page.evaluate("() => sample.connect()")

    expect(page).to_have_url(re.compile(f"^{VAULT}/session/"))
    assert [minted.consumer_id for minted in servers.apideck.minted] == ["spa:acme"]


@pytest.mark.usefixtures("sample_server")
def test_the_form_and_its_server(page: Page, context: BrowserContext, servers: Published) -> None:
    """The form opens the user's Vault without a script, and the page's policy allows it."""
    context.add_cookies([{"name": "session", "value": "adas", "url": APP}])
    page.goto(APP)

    page.get_by_role("button", name="Manage integrations").click()

    expect(page).to_have_url(re.compile(f"^{VAULT}/session/"))
    expect(page.get_by_role("complementary")).to_contain_text("Ada Byron")
    servers.apideck.fail(faults.error(500), times=None)
    page.goto(APP)
    page.get_by_role("button", name="Manage integrations").click()
    expect(page.get_by_text(APIDECK_FAILED)).to_be_visible()


@pytest.mark.parametrize("cookie", ["unknown", "old"])
def test_the_forms_server_redirects_to_the_sign_in(
    page: Page, context: BrowserContext, sample_server: ModuleType, cookie: str
) -> None:
    """A user who is signed out or has an expired access token has to sign in."""
    sample_server.access_tokens["old"] = "expired"
    context.add_cookies([{"name": "session", "value": cookie, "url": APP}])
    page.goto(APP)

    page.get_by_role("button", name="Manage integrations").click()

    expect(page).to_have_url(f"{APP}/sign-in")


@pytest.mark.usefixtures("sample_server")
def test_the_forms_server_rejects_foreign_forms(
    page: Page, context: BrowserContext, servers: Published
) -> None:
    """The form of a foreign page creates no session, although it carries the cookie."""
    context.add_cookies(
        [{"name": "session", "value": "adas", "url": APP, "secure": True, "sameSite": "None"}]
    )
    form = sample("Server-rendered pages", "html").code.replace('"/', f'"{APP}/')
    servers.sites.pages["https://evil.example/"] = HTMLResponse(form)
    page.goto("https://evil.example")

    page.get_by_role("button", name="Manage integrations").click()

    expect(page.get_by_text("This form was not sent by our own page.")).to_be_visible()
    assert servers.apideck.requests == []


def test_the_sample_that_lists_connections(page: Page, servers: Published, tmp_path: Path) -> None:
    """The sample returns usable connections, and no disabled connection."""
    code = sample("What is connected", "js").code
    publish(servers, tmp_path, code, 'globalThis.sample = await import("./sample");')
    token = servers.issuer.token()
    page.goto(APP)
    page.evaluate("token => sample.usableConnections(token)", token)
    [request] = servers.apideck.requests
    consumer = (
        request.header("x-apideck-app-id") or "",
        request.header("x-apideck-consumer-id") or "",
    )
    servers.apideck.connect(*consumer, "accounting", "xero")
    servers.apideck.connect(*consumer, "crm", "hubspot").enabled = False

    usable = page.evaluate("token => sample.usableConnections(token)", token)
    connected = "([api, service, token]) => sample.isConnected(api, service, token)"

    assert [one["service_id"] for one in usable] == ["xero"]
    assert page.evaluate(connected, ["accounting", "xero", token]) is True
    assert page.evaluate(connected, ["crm", "hubspot", token]) is False
    assert page.evaluate(connected, ["accounting", "quickbooks", token]) is False


@pytest.mark.parametrize(
    ("query", "headline", "report"),
    [
        ("", "Welcome back.", ""),
        ("authorizedConnection=xero", "Xero is connected.", ""),
        ("authorizedConnection=quickbooks", "QuickBooks is not connected.", ""),
        ("authorizedConnection=evil", "Welcome back.", ""),
        (
            "error_type=x&error_message=<b>Refused</b>&service_id=quickbooks",
            "An error was reported for QuickBooks.",
            "<b>Refused</b>",
        ),
        (
            "error_message=No&service_id=Your bank",
            "An error was reported for the integration.",
            "No",
        ),
        (f"error_message={'x' * 300}", "An error was reported for the integration.", "x" * 200),
    ],
)
def test_the_sample_of_the_return_page(
    page: Page, servers: Published, tmp_path: Path, query: str, headline: str, report: str
) -> None:
    """The page shows the service's state and the reported error as text, and removes the query."""
    main = """import { showReturn } from "./sample";
    const isConnected = async (api, service) => `${api}/${service}` === "accounting/xero";
    showReturn(document.querySelector("h1"), document.querySelector("p"), isConnected);"""
    publish(
        servers, tmp_path, sample("After the redirect back", "js").code, main, "<h1></h1><p></p>"
    )

    page.goto(f"{APP}/return?{query}")

    expect(page.get_by_role("heading")).to_have_text(headline)
    expect(page.get_by_role("paragraph")).to_have_text(report)
    expect(page).to_have_url(f"{APP}/return")
