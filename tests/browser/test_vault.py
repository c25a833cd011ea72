"""The emulated Hosted Vault in a browser."""

import httpx
from playwright.sync_api import Page, expect

from emulators.apideck import ApideckEmulator
from emulators.apideck.emulator import API_KEY
from tests.support.demo_stack import DemoStack

HEADERS = {
    "authorization": f"Bearer {API_KEY}",
    "x-apideck-app-id": "app",
    "x-apideck-consumer-id": "acme",
}


def test_the_vault_cannot_be_framed(page: Page, stack: DemoStack) -> None:
    """A page can frame another page of the same host, but not the Vault."""
    page.goto(stack.demo)
    page.get_by_role("button", name="Manage all").click()
    expect(page.get_by_text("Session ends in")).to_be_visible()
    vault, framing = page.url, page.context.new_page()
    logged: list[str] = []
    framing.on("console", lambda message: logged.append(message.text))

    framing.set_content(f"<iframe src={stack.issuer}/people></iframe><iframe src={vault}></iframe>")

    people, blocked = (framing.frame_locator("iframe").nth(i).locator("body") for i in (0, 1))
    expect(people).to_contain_text("Ada Byron")
    expect(blocked).not_to_contain_text("Integrations")
    assert any("frame-ancestors" in text for text in logged), logged


def test_the_page_counts_down_to_the_end_of_the_session(page: Page) -> None:
    """When the session expires, a page with an explanation replaces the page."""
    elapsed = 0.0
    emulator = ApideckEmulator(clock=lambda: 1_800_000_000 + elapsed)
    page.clock.install(time=0)
    page.clock.pause_at(1)
    with emulator.serve() as url:
        created = httpx.post(f"{url}/vault/sessions", json={}, headers=HEADERS).json()
        page.goto(created["data"]["session_uri"])
        expect(page.get_by_text("Session ends in 1 h 0 min")).to_be_visible()
        elapsed = 3000
        page.clock.fast_forward(elapsed * 1000)
        expect(page.get_by_text("Session ends in 10:00")).to_be_visible()

        elapsed = 3601
        page.clock.fast_forward(601 * 1000)

        expect(page.get_by_role("heading")).to_have_text("This session has expired")
        expect(page.get_by_text("Go back to the application that you were using")).to_be_visible()


def test_a_click_after_the_end_of_the_session_changes_nothing(page: Page) -> None:
    """After a click, a page that is still open shows that the session has expired."""
    elapsed = 0.0
    emulator = ApideckEmulator(clock=lambda: 1_800_000_000 + elapsed)
    with emulator.serve() as url:
        created = httpx.post(f"{url}/vault/sessions", json={}, headers=HEADERS).json()
        page.goto(created["data"]["session_uri"])
        elapsed = 3601

        page.get_by_role("button", name="Connect Xero").click()

        expect(page.get_by_role("heading")).to_have_text("This session has expired")
        assert emulator.consumer("app", "acme").connections == {}
