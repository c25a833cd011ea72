"""Apideck's Vault JS from npm, in a page with the headers that docs/frontend.md recommends."""

import json
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from starlette.responses import HTMLResponse

from tests.support.browser import missing_packages
from tests.support.published import APP, Published
from tests.support.samples import bundle, html_page, recommended_headers, sample

pytestmark = pytest.mark.skipif(missing_packages() is not None, reason=str(missing_packages()))

FRAME = "https://vaultjs.apideck.com"
POPUP = "https://unify.apideck.com/authorize"
MAIN = """import { openEmbedded } from "./sample";
globalThis.openIt = (token) => openEmbedded(token, () => (document.title = "closed"));"""
OPEN = "token => openIt(token).catch(() => {})"
BLOCKED = "Content Security Policy"
# The frame of Vault JS, as the page around it sees it: it reports that it is ready, receives the
# options of the page, authorizes in a pop-up, and reports that it closes.
FRAME_PAGE = f"""<!doctype html><body><output></output>
<button onclick="open('{POPUP}', '', 'popup')">Authorize</button>
<button onclick="parent.postMessage('on-close', '*')">Close</button>
<script>
const received = [];
addEventListener("message", (event) => {{
  received.push({{ origin: event.origin, data: event.data }});
  document.querySelector("output").textContent = JSON.stringify(received);
}});
parent.postMessage("on-ready", "*");
</script>"""
POPUP_PAGE = """<!doctype html><title>popup</title>
<script>opener?.postMessage("authorized", "*")</script>"""


def publish(servers: Published, headers: dict[str, str], folder: Path) -> None:
    """Serve the embedded variant of the docs with these headers, its frame and its pop-up."""
    servers.sites.pages |= {
        f"{APP}/": html_page(headers=headers),
        f"{APP}/main.js": bundle(folder, sample("Embedded with Vault JS", "js").code, MAIN),
        f"{FRAME}/": HTMLResponse(FRAME_PAGE),
        POPUP: HTMLResponse(POPUP_PAGE),
    }


def received(page: Page) -> list[dict[str, object]]:
    """Wait for the messages that the frame receives, and return them."""
    output = page.frame_locator("iframe").locator("output")
    expect(output).not_to_be_empty()
    messages: list[dict[str, object]] = json.loads(output.inner_text())
    return messages


def test_vault_js_receives_the_session_token_and_closes(
    page: Page, servers: Published, tmp_path: Path
) -> None:
    """The page's policy blocks nothing that Vault JS needs, and the page is notified at the end."""
    logged: list[str] = []
    page.on("console", lambda message: logged.append(message.text))
    publish(servers, recommended_headers(), tmp_path)
    page.goto(APP)

    page.evaluate(OPEN, servers.issuer.token())

    frame = page.locator("iframe")
    expect(frame).to_be_visible()
    expect(frame).to_have_attribute("src", FRAME)
    [minted] = servers.apideck.minted
    assert "redirect_uri" not in minted.session
    assert received(page) == [{"origin": APP, "data": {"token": minted.token}}]
    page.frame_locator("iframe").get_by_role("button", name="Close").click()
    expect(page).to_have_title("closed")
    expect(frame).to_have_count(0)
    assert [text for text in logged if BLOCKED in text] == []


@pytest.mark.parametrize(
    ("opener_policy", "connected"), [("same-origin-allow-popups", True), ("same-origin", False)]
)
def test_the_pop_up_can_message_the_frame(
    page: Page, servers: Published, tmp_path: Path, opener_policy: str, *, connected: bool
) -> None:
    """The pop-up has an opener with the recommended policy, and none with the stricter one."""
    headers = recommended_headers()
    assert headers["cross-origin-opener-policy"] == "same-origin-allow-popups"
    publish(servers, {**headers, "cross-origin-opener-policy": opener_policy}, tmp_path)
    page.goto(APP)
    page.evaluate(OPEN, servers.issuer.token())
    frame = page.frame_locator("iframe")
    with page.context.expect_page() as opened:
        frame.get_by_role("button", name="Authorize").click()

    expect(opened.value).to_have_title("popup")
    if connected:
        expect(frame.locator("output")).to_contain_text("authorized")
    else:
        assert opened.value.evaluate("opener === null")


@pytest.mark.parametrize("directive", ["script-src", "connect-src", "frame-src"])
def test_every_directive_of_the_policy_is_needed(
    page: Page, servers: Published, tmp_path: Path, directive: str
) -> None:
    """Without one of these directives the browser blocks Vault JS, and no frame gets a token."""
    headers = recommended_headers()
    policy = headers["content-security-policy"].split("; ")
    reduced = "; ".join(part for part in policy if not part.startswith(directive))
    publish(servers, {**headers, "content-security-policy": reduced}, tmp_path)

    with page.expect_console_message(lambda message: BLOCKED in message.text):
        page.goto(APP)
        if directive != "script-src":
            page.evaluate(OPEN, servers.issuer.token())

    assert not any(frame.url.startswith(FRAME) for frame in page.frames)
