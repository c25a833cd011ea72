"""The stand-in Hosted Vault's pages: what a session makes of them, and what it cannot."""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from emulators.apideck import ApideckEmulator
from emulators.apideck.emulator import API_KEY

BACK = "https://app.example.com/back"
HEADERS = {
    "authorization": f"Bearer {API_KEY}",
    "x-apideck-app-id": "app",
    "x-apideck-consumer-id": "acme",
    "content-type": "application/json",
}


class Browser:
    """Somebody's browser, with a session of theirs."""

    def __init__(self, client: httpx.Client, session: dict[str, Any]) -> None:
        self._client = client
        made = client.post("/vault/sessions", json=session, headers=HEADERS).json()["data"]
        self.token = str(made["session_token"])
        self.home = client.get(made["session_uri"])

    def connector(
        self, api: str = "crm", service: str = "hubspot", *, isolation: bool = False
    ) -> httpx.Response:
        """Open one connector's page."""
        query = {"jwt": self.token, **({"isolation": "true"} if isolation else {})}
        return self._client.get(f"/integrations/{api}/{service}", params=query)

    def choose(self, action: str, page: str = "home") -> httpx.Response:
        """Choose an action for HubSpot; returns where that leads, not followed."""
        form = {"unified_api": "crm", "service_id": "hubspot", "action": action, "page": page}
        return self._client.post("/connect", data={"jwt": self.token, **form})

    def reload(self) -> str:
        """Return the first page as it is now."""
        return self._client.get(f"/session/{self.token}").text


@pytest.fixture
def client(apideck: ApideckEmulator, apideck_url: str) -> Iterator[httpx.Client]:  # noqa: ARG001 - reset
    """Return a client that has no key."""
    with httpx.Client(base_url=apideck_url) as client:
        yield client


def page(client: httpx.Client, **settings: Any) -> str:
    """Return the first page of a session with these settings."""
    return Browser(client, {"settings": settings}).home.text


@pytest.mark.parametrize(
    ("setting", "shown_when", "what"),
    [
        ("show_sidebar", True, "<aside"),
        ("show_logs", True, 'id="logs"'),
        ("show_suggestions", True, "Suggested for you"),
        ("sandbox_mode", True, 'class="sandbox"'),
        ("isolation_mode", False, "<aside"),
    ],
)
def test_a_setting_shows_and_hides(
    client: httpx.Client, setting: str, shown_when: bool, what: str
) -> None:
    """What it is about is on the page with one value, and not with the other."""
    assert what in page(client, **{setting: shown_when})
    assert what not in page(client, **{setting: not shown_when})


def test_the_defaults_are_apidecks(client: httpx.Client) -> None:
    """Sidebar and logs are there, suggestions and the sandbox's banner are not."""
    shown = page(client)

    assert "<aside" in shown
    assert 'id="logs"' in shown
    assert "Suggested for you" not in shown
    assert 'class="sandbox"' not in shown
    assert "Back to" not in shown


def test_guides_and_resource_settings_can_be_hidden(client: httpx.Client) -> None:
    """A connector has a guide before it is connected, and resource settings afterwards."""
    open_one = Browser(client, {})
    hidden = Browser(client, {"settings": {"hide_guides": True, "hide_resource_settings": True}})

    before = (open_one.connector().text, hidden.connector().text)
    open_one.choose("connect")
    after = (open_one.connector().text, hidden.connector().text)

    assert ["Guide" in text for text in before] == [True, False]
    assert ["Resource settings" in text for text in after] == [True, False]


def test_isolation_leaves_one_connector_alone(client: httpx.Client) -> None:
    """With `isolation=true` nothing on the page leads to another."""
    browser = Browser(client, {})

    alone, among_others = browser.connector(isolation=True).text, browser.connector().text

    for way_out in ("<aside", "All integrations", f'"/session/{browser.token}"'):
        assert way_out in among_others
        assert way_out not in alone
    location = browser.choose("connect", page="isolated").headers["location"]
    assert location == f"/integrations/crm/hubspot?jwt={browser.token}&isolation=true"


@pytest.mark.parametrize(
    ("allowed", "offered"),
    [
        (None, {"reauthorize", "disable", "disconnect", "delete"}),
        (["disconnect"], {"disconnect"}),
        ([], set()),
    ],
)
def test_only_allowed_actions_are_offered(
    client: httpx.Client, allowed: list[str] | None, offered: set[str]
) -> None:
    """Absent means all of them, and empty means none."""
    settings = {} if allowed is None else {"allow_actions": allowed}
    browser = Browser(client, {"settings": {"unified_apis": ["crm"], **settings}})
    browser.choose("connect")

    buttons = re.findall(r'value="(\w+)" class="\w+" aria-label="[\w ]+ HubSpot"', browser.reload())

    assert set(buttons) == offered


@pytest.mark.parametrize(
    ("actions", "state"),
    [
        (["connect"], "Connected"),
        (["connect", "reauthorize"], "Connected"),
        (["connect", "disable"], "Disabled"),
        (["connect", "disable", "enable"], "Connected"),
        (["connect", "disconnect"], "Not connected"),
        (["connect", "delete"], "Not connected"),
        (["explode"], "Not connected"),
    ],
)
def test_an_action_does_what_it_says(client: httpx.Client, actions: list[str], state: str) -> None:
    """The page then shows the connection's new state; an unknown action changes nothing."""
    browser = Browser(client, {})

    for action in actions:
        assert browser.choose(action).status_code == 303

    assert f">{state}</p>" in browser.connector().text


def test_connections_are_the_consumers_and_not_the_sessions(client: httpx.Client) -> None:
    """The next session of the same consumer finds them, and what was done is in its logs."""
    Browser(client, {}).choose("connect")

    shown = Browser(client, {}).home.text

    assert ">Connected</p>" in shown
    assert "HubSpot: connected" in shown
    assert client.post("/connect", data={"jwt": "forged"}).status_code == 401


def test_success_leads_back_only_when_asked(client: httpx.Client) -> None:
    """Without auto_redirect one stays, and finds a link back."""
    browser = Browser(client, {"redirect_uri": BACK})

    assert browser.choose("connect").headers["location"] == f"/session/{browser.token}"
    assert f'href="{BACK}"' in browser.home.text


def test_a_simulated_error_leads_back_with_apidecks_parameters(client: httpx.Client) -> None:
    """All five of them are in the query, and nothing is connected."""
    browser = Browser(client, {"redirect_uri": BACK})

    location = browser.choose("fail").headers["location"]

    query = parse_qs(urlsplit(location).query)
    assert set(query) == {"error_type", "error_message", "origin", "service_id", "ref"}
    assert query["service_id"] == ["hubspot"]
    assert ">Connected</p>" not in browser.reload()


def test_theme_and_legal_links_are_shown(client: httpx.Client) -> None:
    """Colours, logo, icon and links are the session's."""
    theme = {
        "primary_color": "#fde047",
        "sidepanel_background_color": "navy",
        "sidepanel_text_color": "#abc",
        "logo": "https://e.example/logo.png",
        "favicon": "https://e.example/icon.png",
        "privacy_url": "https://e.example/privacy",
        "terms_url": "https://e.example/terms",
    }

    shown = Browser(client, {"theme": theme}).home.text

    for value in theme.values():
        assert value in shown
    # Dark text on a bright button, so that it can be read.
    assert "--primary-ink: #111111" in shown


@pytest.mark.parametrize(("colour", "ink"), [("#fff", "#111111"), ("navy", "#ffffff")])
def test_a_buttons_text_can_be_read(client: httpx.Client, colour: str, ink: str) -> None:
    """Short colours are understood; a name is taken for a dark one."""
    shown = Browser(client, {"theme": {"primary_color": colour}}).home.text

    assert f"--primary: {colour}; --primary-ink: {ink};" in shown


@pytest.mark.parametrize("name", ["vault.css", "countdown.js", "icon.svg"])
def test_the_pages_bring_their_own_assets(client: httpx.Client, name: str) -> None:
    """Nothing is loaded from elsewhere."""
    answer = client.get(f"/assets/{name}")

    assert answer.status_code == 200
    assert answer.content


@pytest.mark.parametrize(
    ("length", "shown"), [("30m", "29 min"), ("24h", "23 h 59 min"), ("7d", "6 days")]
)
def test_the_page_says_how_long_the_session_lasts(
    client: httpx.Client, length: str, shown: str
) -> None:
    """In words for people, in seconds for the countdown."""
    text = page(client, session_length=length)

    [(seconds, words)] = re.findall(r'data-seconds="(\d+)">([^<]+)<', text)
    assert words in {shown, shown.replace("29", "30").replace("23 h 59", "24 h 0")}
    assert int(seconds) > 1700


def test_a_kind_of_connector_that_is_unknown_is_said_to_be(client: httpx.Client) -> None:
    """A group without connectors says so."""
    shown = page(client, unified_apis=["lead"])

    assert "<h2>Lead</h2>" in shown
    assert "knows no connectors" in shown
