"""The React hooks of the npm package, in cases that the samples of the docs do not cover."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from playwright.sync_api import Page, Route, expect
from starlette.responses import Response

from tests.support.browser import missing_packages
from tests.support.published import APP, SERVICE, Published
from tests.support.samples import bundle, html_page

pytestmark = pytest.mark.skipif(missing_packages() is not None, reason=str(missing_packages()))

COMPONENTS = f"""import {{ useConnections, useVault }} from "vault-bff-client/react";
const baseUrl = "{SERVICE}";
export function List({{ token }}) {{
  const {{ connections, error, loading, refresh }} = useConnections({{ baseUrl, token }});
  const names = connections?.map((one) => one.service_id).join();
  const shown = [names, error?.type, loading && "loading"].filter(Boolean).join(" ");
  return <p onClick={{refresh}}>{{shown}}</p>;
}}
export function Open({{ token }}) {{
  const {{ open, busy }} = useVault({{ baseUrl, token }});
  return <button onClick={{() => open()}}>{{busy ? "busy" : "open"}}</button>;
}}"""
MAIN = """import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { List, Open } from "./sample";
const root = createRoot(document.querySelector("main"));
const show = (...elements) => root.render(elements.map((one, key) => <div key={key}>{one}</div>));
globalThis.lists = (...tokens) => show(...tokens.map((token) => <List token={token} />));
globalThis.button = (token) => show(<StrictMode><Open token={token} /></StrictMode>);"""


@pytest.fixture(scope="module")
def _script() -> Iterator[Response]:
    with TemporaryDirectory() as folder:
        yield bundle(Path(folder), COMPONENTS, MAIN)


class Service:
    """Replaces the service: requests wait until the test responds to them."""

    def __init__(self, page: Page) -> None:
        self.waiting: list[Route] = []
        page.route(f"{SERVICE}/**", lambda route: self.waiting.append(route))  # noqa: PLW0108 - a builtin is not accepted
        self._page = page

    def next(self, count: int = 1) -> Route:
        """Wait until this many requests are waiting, and return the last one."""
        for _ in range(400):
            if len(self.waiting) >= count:
                break
            self._page.wait_for_timeout(50)
        assert len(self.waiting) == count
        return self.waiting[-1]


def list_of(name: str) -> str:
    """Return the body of a response with one connection."""
    return f'{{"connections":[{{"service_id":"{name}"}}]}}'


CORS = {"access-control-allow-origin": APP}


@pytest.fixture
def service(page: Page, servers: Published, _script: Response) -> Service:
    """Open the page, and return the service that it uses."""
    servers.sites.pages |= {f"{APP}/": html_page("<main></main>"), f"{APP}/main.js": _script}
    service = Service(page)
    page.goto(APP)
    return service


def test_components_share_a_request_and_one_may_be_removed(page: Page, service: Service) -> None:
    """Two equal lists share one request, which continues if one of them is removed."""
    page.evaluate("lists('ada', 'ada')")
    request = service.next()
    page.evaluate("lists('ada')")
    expect(page.locator("p")).to_have_text("loading")
    request.fulfill(body=list_of("xero"), headers=CORS)

    expect(page.locator("p")).to_have_text("xero")
    assert len(service.waiting) == 1


def test_the_list_of_the_previous_user_is_not_shown(page: Page, service: Service) -> None:
    """After another user has signed in, the page shows no list until the new list arrives."""
    page.evaluate("lists('ada')")
    service.next().fulfill(body=list_of("xero"), headers=CORS)
    expect(page.locator("p")).to_have_text("xero")

    page.evaluate("lists('otto')")
    expect(page.locator("p")).to_have_text("loading")
    service.next(2).fulfill(body=list_of("netsuite"), headers=CORS)

    expect(page.locator("p")).to_have_text("netsuite")


def test_a_failed_load_does_not_show_the_list_of_the_previous_user(
    page: Page, service: Service
) -> None:
    """If the next user's list fails, the page shows only the error, also during a retry."""
    page.evaluate("lists('ada')")
    service.next().fulfill(body=list_of("xero"), headers=CORS)
    expect(page.locator("p")).to_have_text("xero")

    page.evaluate("lists('otto')")
    service.next(2).abort()
    expect(page.locator("p")).to_have_text("network")

    page.locator("p").click()
    expect(page.locator("p")).to_have_text("loading")


def test_a_list_is_shown_while_it_is_reloaded(page: Page, service: Service) -> None:
    """The old list stays visible during a refresh, and after a refresh that failed."""
    page.evaluate("lists('ada')")
    service.next().fulfill(body=list_of("xero"), headers=CORS)
    expect(page.locator("p")).to_have_text("xero")

    page.locator("p").click()
    expect(page.locator("p")).to_have_text("xero loading")
    service.next(2).abort()

    expect(page.locator("p")).to_have_text("xero network")


def test_a_double_click_opens_the_vault_once(page: Page, service: Service) -> None:
    """The second click does nothing while the button is busy, even if it has another token."""
    page.evaluate("button(() => String(Math.random()))")

    page.get_by_role("button").dblclick()
    expect(page.get_by_role("button")).to_have_text("busy")
    service.next().abort()

    expect(page.get_by_role("button")).to_have_text("open")
    assert len(service.waiting) == 1


def test_a_removed_component_does_not_open_the_vault(page: Page, service: Service) -> None:
    """If the component is removed, its request is aborted, so the user stays on the page."""
    page.evaluate("button('ada')")
    page.get_by_role("button").click()
    request = service.next().request
    # The package aborts every request after 30 seconds, so the timeout is shorter.
    with page.expect_event("requestfailed", lambda failed: failed == request, timeout=20_000):
        page.evaluate("lists()")

    assert request.failure == "net::ERR_ABORTED"


def test_an_error_of_the_token_function_reaches_the_application(
    page: Page, service: Service
) -> None:
    """The error is an unhandled rejection, as error trackers expect, and the button works again."""
    page.evaluate("addEventListener('unhandledrejection', (e) => (document.title = e.reason))")
    page.evaluate("addEventListener('unhandledrejection', (e) => e.preventDefault())")
    page.evaluate("button(() => { throw new Error('The sign-in was lost.'); })")

    page.get_by_role("button").click()

    expect(page).to_have_title("Error: The sign-in was lost.")
    expect(page.get_by_role("button")).to_have_text("open")
    assert service.waiting == []
