"""The stand-in Hosted Vault in a real browser."""

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


def test_it_refuses_to_be_framed(page: Page, stack: DemoStack) -> None:
    """The same page frames what does not mind; of the Vault it gets nothing."""
    page.goto(stack.demo)
    page.get_by_role("button", name="Manage all").click()
    expect(page.get_by_text("Session ends in")).to_be_visible()
    vault, framing = page.url, page.context.new_page()
    said: list[str] = []
    framing.on("console", lambda message: said.append(message.text))

    framing.set_content(f"<iframe src={stack.issuer}/people></iframe><iframe src={vault}></iframe>")

    willing, refusing = (framing.frame_locator("iframe").nth(i).locator("body") for i in (0, 1))
    expect(willing).to_contain_text("Ada Byron")
    expect(refusing).not_to_contain_text("Integrations")
    assert any("frame-ancestors" in text for text in said), said


def test_a_session_that_ends_shows_so_by_itself(page: Page) -> None:
    """It counts down, and at its end the page gives way to one that says what to do."""
    elapsed = 0.0
    emulator = ApideckEmulator(clock=lambda: 1_800_000_000 + elapsed)
    page.clock.install()
    with emulator.serve() as url:
        made = httpx.post(f"{url}/vault/sessions", json={}, headers=HEADERS).json()
        page.goto(made["data"]["session_uri"])
        expect(page.get_by_text("Session ends in 1 h 0 min")).to_be_visible()
        elapsed = 3000
        page.clock.fast_forward(elapsed * 1000)
        expect(page.get_by_text("Session ends in 10:00")).to_be_visible()

        elapsed = 3601
        page.clock.fast_forward(601 * 1000)

        expect(page.get_by_role("heading")).to_have_text("This session has expired")
        expect(page.get_by_text("Go back to the application you came from")).to_be_visible()


def test_a_form_left_open_finds_its_session_expired(page: Page) -> None:
    """A click after the end changes nothing, and says why."""
    elapsed = 0.0
    emulator = ApideckEmulator(clock=lambda: 1_800_000_000 + elapsed)
    with emulator.serve() as url:
        made = httpx.post(f"{url}/vault/sessions", json={}, headers=HEADERS).json()
        page.goto(made["data"]["session_uri"])
        elapsed = 3601

        page.get_by_role("button", name="Connect Xero").click()

        expect(page.get_by_role("heading")).to_have_text("This session has expired")
        assert emulator.consumer("app", "acme").connections == {}
