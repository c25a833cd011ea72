"""Attacks by pages of other origins on a user who is signed in with a cookie."""

import re

import pytest
from playwright.sync_api import BrowserContext, Page, expect
from starlette.responses import HTMLResponse

from tests.support.published import APP, SERVICE, Published

ENDPOINT = f"{SERVICE}/vault-session"
# A page of another site, and one of the same site, such as a blog or a status page.
FOREIGN = ["https://evil.example", "https://other.example.com"]
FORM = f"""<form method="post" action="{ENDPOINT}" enctype="%s">
<input name='{{"settings":{{}},"x":"' value='"}}'><button>Win a prize</button></form>"""
FETCH = """async ([url, init]) => {
  try { return await (await fetch(url, { method: "POST", ...init })).text(); }
  catch (error) { return error.name; }
}"""


@pytest.fixture(autouse=True)
def _signed_in(context: BrowserContext, world: Published) -> None:
    """Set the weakest possible cookie: browsers send it with all requests of all pages."""
    context.add_cookies(
        [
            {
                "name": "__Host-session",
                "value": world.issuer.token(aud="spa"),
                "url": SERVICE,
                "secure": True,
                "sameSite": "None",
            }
        ]
    )


def visit(page: Page, world: Published, origin: str, content: str = "") -> None:
    """Open a page of an origin."""
    world.sites.pages[f"{origin}/"] = HTMLResponse(content)
    page.goto(origin)


def test_a_listed_page_gets_a_session_with_the_cookie(page: Page, world: Published) -> None:
    """The request of the attacks below succeeds when it comes from a listed origin."""
    visit(page, world, APP)
    init = {
        "credentials": "include",
        "headers": {"X-Vault-Session": "1", "Content-Type": "application/json"},
        "body": "{}",
    }

    text = page.evaluate(FETCH, [ENDPOINT, init])

    assert "redirect_url" in text
    assert [minted.consumer_id for minted in world.apideck.minted] == ["spa:acme"]


@pytest.mark.parametrize("origin", FOREIGN)
@pytest.mark.parametrize(
    "enctype", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"]
)
def test_a_form_that_a_foreign_page_posts_mints_nothing(
    page: Page, world: Published, origin: str, enctype: str
) -> None:
    """The service rejects the form although it carries the cookie, and Apideck gets no request."""
    visit(page, world, origin, FORM % enctype)
    with page.expect_request(ENDPOINT) as posted:
        page.get_by_role("button").click()

    expect(page.locator("body")).to_contain_text(f"{SERVICE}/problems/")
    assert "__Host-session" in posted.value.all_headers()["cookie"]
    assert world.apideck.requests == []


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
    ids=["bare", "no-cors", "json", "as-we-do", "bearer"],
)
def test_a_fetch_from_a_foreign_page_mints_nothing(
    page: Page, world: Published, origin: str, init: dict[str, object]
) -> None:
    """Apideck gets no request, and the page cannot read the response."""
    visit(page, world, origin)

    text = page.evaluate(FETCH, [ENDPOINT, {"credentials": "include", **init}])

    assert text in {"TypeError", ""}
    assert world.apideck.requests == []


def test_a_foreign_page_in_a_sandbox_has_no_origin_and_mints_nothing(
    page: Page, world: Published
) -> None:
    """The service rejects the origin `null`."""
    visit(page, world, APP, "<iframe sandbox='allow-scripts' srcdoc='x'></iframe>")
    inside = page.frames[1]

    text = inside.evaluate(FETCH, [ENDPOINT, {"credentials": "include", "body": "{}"}])

    assert text == "TypeError"
    assert world.apideck.requests == []


def test_a_foreign_link_mints_nothing(page: Page, world: Published) -> None:
    """A GET request creates no session."""
    visit(page, world, FOREIGN[0], f"<a href={ENDPOINT}>Win a prize</a>")

    page.get_by_role("link").click()

    expect(page.locator("body")).to_contain_text(re.compile("method-not-allowed"))
    assert world.apideck.requests == []
