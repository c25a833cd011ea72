"""Attacks by pages of other origins on a user who is signed in with a cookie."""

import re

import pytest
from playwright.sync_api import BrowserContext, Page, expect
from starlette.responses import HTMLResponse

from tests.support.published import APP, SERVICE, Published

ENDPOINT = f"{SERVICE}/vault-session"
# An origin of another site, and another origin of the same site, such as a blog.
FOREIGN = ["https://evil.example", "https://other.example.com"]
FORM = f"""<form method="post" action="{ENDPOINT}" enctype="%s">
<input name='{{"settings":{{}},"x":"' value='"}}'><button>Win a prize</button></form>"""
FETCH = """async ([url, init]) => {
  try { return await (await fetch(url, { method: "POST", ...init })).text(); }
  catch (error) { return error.name; }
}"""


@pytest.fixture(autouse=True)
def _signed_in(context: BrowserContext, servers: Published) -> None:
    """Set the least protected cookie: browsers send it with all requests of all pages."""
    context.add_cookies(
        [
            {
                "name": "__Host-session",
                "value": servers.issuer.token(aud="spa"),
                "url": SERVICE,
                "secure": True,
                "sameSite": "None",
            }
        ]
    )


def visit(page: Page, servers: Published, origin: str, content: str = "") -> None:
    """Open a page of an origin."""
    servers.sites.pages[f"{origin}/"] = HTMLResponse(content)
    page.goto(origin)


def test_a_listed_page_gets_a_session_with_the_cookie(page: Page, servers: Published) -> None:
    """The request of the attacks below succeeds if the page has a listed origin."""
    visit(page, servers, APP)
    init = {
        "credentials": "include",
        "headers": {"X-Vault-Session": "1", "Content-Type": "application/json"},
        "body": "{}",
    }

    text = page.evaluate(FETCH, [ENDPOINT, init])

    assert "redirect_url" in text
    assert [minted.consumer_id for minted in servers.apideck.minted] == ["spa:acme"]


@pytest.mark.parametrize("origin", FOREIGN)
@pytest.mark.parametrize(
    "enctype", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"]
)
def test_a_form_on_a_foreign_page_creates_no_session(
    page: Page, servers: Published, origin: str, enctype: str
) -> None:
    """The service rejects the form although the browser sends the cookie with it."""
    visit(page, servers, origin, FORM % enctype)
    with page.expect_request(ENDPOINT) as posted:
        page.get_by_role("button").click()

    expect(page.locator("body")).to_contain_text(f"{SERVICE}/problems/")
    assert "__Host-session" in posted.value.all_headers()["cookie"]
    assert servers.apideck.requests == []


@pytest.mark.parametrize("origin", FOREIGN)
@pytest.mark.parametrize(
    "init",
    [
        {},
        {"mode": "no-cors", "body": "{}"},
        {"headers": {"Content-Type": "application/json"}, "body": "{}"},
        {
            "headers": {"Content-Type": "application/json", "X-Vault-Session": "1"},
            "body": "{}",
        },
        {"headers": {"Authorization": "Bearer x"}},
    ],
    ids=["no-options", "no-cors", "json", "with-csrf-header", "bearer"],
)
def test_a_fetch_from_a_foreign_page_creates_no_session(
    page: Page, servers: Published, origin: str, init: dict[str, object]
) -> None:
    """Apideck gets no request, and the page cannot read the response."""
    visit(page, servers, origin)

    text = page.evaluate(FETCH, [ENDPOINT, {"credentials": "include", **init}])

    assert text in {"TypeError", ""}
    assert servers.apideck.requests == []


def test_a_sandboxed_frame_creates_no_session(page: Page, servers: Published) -> None:
    """The service rejects its origin, which is `null`."""
    visit(page, servers, APP, "<iframe sandbox='allow-scripts' srcdoc='x'></iframe>")
    inside = page.frames[1]

    text = inside.evaluate(FETCH, [ENDPOINT, {"credentials": "include", "body": "{}"}])

    assert text == "TypeError"
    assert servers.apideck.requests == []


def test_a_foreign_link_creates_no_session(page: Page, servers: Published) -> None:
    """A GET request creates no session."""
    visit(page, servers, FOREIGN[0], f"<a href={ENDPOINT}>Win a prize</a>")

    page.get_by_role("link").click()

    expect(page.locator("body")).to_contain_text(re.compile("method-not-allowed"))
    assert servers.apideck.requests == []
