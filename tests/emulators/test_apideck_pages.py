"""The pages of the emulated Vault follow the settings of the session."""

import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.support.apideck_calls import created

BACK = "https://app.example.com/back"


class Visit:
    """A user in the Vault with a session."""

    def __init__(self, browser: httpx.Client, session: dict[str, Any]) -> None:
        self._browser = browser
        data = created(browser, **session)
        self.token = data["session_token"]
        self.home = browser.get(data["session_uri"])

    def connector(
        self, api: str = "crm", service: str = "hubspot", *, isolation: bool = False
    ) -> httpx.Response:
        """Open the page of one connector."""
        query = {"jwt": self.token, **({"isolation": "true"} if isolation else {})}
        return self._browser.get(f"/integrations/{api}/{service}", params=query)

    def choose(self, action: str, page: str = "home") -> httpx.Response:
        """Choose an action for HubSpot; return the redirect without following it."""
        form = {"unified_api": "crm", "service_id": "hubspot", "action": action, "page": page}
        return self._browser.post("/connect", data={"jwt": self.token, **form})

    def reload(self) -> str:
        """Return the current first page."""
        return self._browser.get(f"/session/{self.token}").text


def page(browser: httpx.Client, **settings: Any) -> str:
    """Return the first page of a session with these settings."""
    return Visit(browser, {"settings": settings}).home.text


@pytest.mark.parametrize(
    ("setting", "shown_if", "part"),
    [
        ("show_sidebar", True, "<aside"),
        ("show_logs", True, 'id="logs"'),
        ("show_suggestions", True, "Suggested for you"),
        ("sandbox_mode", True, 'class="sandbox"'),
        ("isolation_mode", False, "<aside"),
    ],
)
def test_a_setting_shows_or_hides_a_part(
    browser: httpx.Client, setting: str, shown_if: bool, part: str
) -> None:
    """The part is on the page with one value of the setting, and not with the other value."""
    assert part in page(browser, **{setting: shown_if})
    assert part not in page(browser, **{setting: not shown_if})


def test_the_defaults_match_those_of_apideck(browser: httpx.Client) -> None:
    """By default the page shows the sidebar and logs, but no suggestions and no sandbox banner."""
    shown = page(browser)

    assert "<aside" in shown
    assert 'id="logs"' in shown
    assert "Suggested for you" not in shown
    assert 'class="sandbox"' not in shown
    assert "Back to" not in shown


def test_guides_and_resource_settings_can_be_hidden(browser: httpx.Client) -> None:
    """A connector shows a guide before it is connected, and resource settings afterwards."""
    shown = Visit(browser, {})
    hidden = Visit(browser, {"settings": {"hide_guides": True, "hide_resource_settings": True}})

    before = (shown.connector().text, hidden.connector().text)
    shown.choose("connect")
    after = (shown.connector().text, hidden.connector().text)

    assert ["Guide" in text for text in before] == [True, False]
    assert ["Resource settings" in text for text in after] == [True, False]


def test_isolation_shows_one_connector_only(browser: httpx.Client) -> None:
    """With `isolation=true` the page has no link to another connector."""
    visit = Visit(browser, {})

    isolated, normal = visit.connector(isolation=True).text, visit.connector().text

    for link in ("<aside", "All integrations", f'"/session/{visit.token}"'):
        assert link in normal
        assert link not in isolated
    location = visit.choose("connect", page="isolated").headers["location"]
    assert location == f"/integrations/crm/hubspot?jwt={visit.token}&isolation=true"


@pytest.mark.parametrize(
    ("allowed", "offered"),
    [
        (None, {"reauthorize", "disable", "disconnect", "delete"}),
        (["disconnect"], {"disconnect"}),
        ([], set()),
    ],
)
def test_only_allowed_actions_are_offered(
    browser: httpx.Client, allowed: list[str] | None, offered: set[str]
) -> None:
    """Without the setting all actions are offered, and with an empty list no action."""
    settings = {} if allowed is None else {"allow_actions": allowed}
    visit = Visit(browser, {"settings": {"unified_apis": ["crm"], **settings}})
    visit.choose("connect")

    buttons = re.findall(r'value="(\w+)" class="\w+" aria-label="[\w ]+ HubSpot"', visit.reload())

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
def test_an_action_changes_the_connection(
    browser: httpx.Client, actions: list[str], state: str
) -> None:
    """The page shows the new state of the connection; an unknown action changes nothing."""
    visit = Visit(browser, {})

    for action in actions:
        assert visit.choose(action).status_code == 303

    assert f">{state}</p>" in visit.connector().text


def test_connections_belong_to_the_consumer(browser: httpx.Client) -> None:
    """The next session of the same consumer shows the connections and the log."""
    Visit(browser, {}).choose("connect")

    text = Visit(browser, {}).home.text

    assert ">Connected</p>" in text
    assert "HubSpot: connected" in text
    assert browser.post("/connect", data={"jwt": "forged"}).status_code == 401


def test_a_success_redirects_back_only_with_auto_redirect(browser: httpx.Client) -> None:
    """Without `auto_redirect` the user stays in the Vault, which has a link back."""
    visit = Visit(browser, {"redirect_uri": BACK})

    assert visit.choose("connect").headers["location"] == f"/session/{visit.token}"
    assert f'href="{BACK}"' in visit.home.text


def test_a_simulated_error_redirects_back_with_apidecks_parameters(browser: httpx.Client) -> None:
    """The query has all five parameters, and nothing is connected."""
    visit = Visit(browser, {"redirect_uri": BACK})

    location = visit.choose("fail").headers["location"]

    query = parse_qs(urlsplit(location).query)
    assert set(query) == {"error_type", "error_message", "origin", "service_id", "ref"}
    assert query["service_id"] == ["hubspot"]
    assert ">Connected</p>" not in visit.reload()


def test_theme_and_legal_links_are_shown(browser: httpx.Client) -> None:
    """The page has the colours, the logo, the icon and the links of the session."""
    theme = {
        "primary_color": "#fde047",
        "sidepanel_background_color": "navy",
        "sidepanel_text_color": "#abc",
        "logo": "https://e.example/logo.png",
        "favicon": "https://e.example/icon.png",
        "privacy_url": "https://e.example/privacy",
        "terms_url": "https://e.example/terms",
    }

    shown = Visit(browser, {"theme": theme}).home.text

    for value in theme.values():
        assert value in shown
    # A bright button has dark text, so that the text is readable.
    assert "--primary-ink: #111111" in shown


@pytest.mark.parametrize(("colour", "ink"), [("#fff", "#111111"), ("navy", "#ffffff")])
def test_the_text_of_a_button_is_readable(browser: httpx.Client, colour: str, ink: str) -> None:
    """Text is dark on bright colours; named colours are treated as dark."""
    shown = Visit(browser, {"theme": {"primary_color": colour}}).home.text

    assert f"--primary: {colour}; --primary-ink: {ink};" in shown


@pytest.mark.parametrize(
    "name", ["vault.css", "vault.js", "confirm.js", "countdown.js", "embedded.js", "icon.svg"]
)
def test_the_pages_have_their_own_assets(browser: httpx.Client, name: str) -> None:
    """The emulator serves its style sheet, scripts and icon."""
    response = browser.get(f"/assets/{name}")

    assert response.status_code == 200
    assert response.content


@pytest.mark.parametrize(
    ("length", "shown"), [("30m", "29 min"), ("24h", "23 h 59 min"), ("7d", "6 days")]
)
def test_the_page_shows_how_long_the_session_lasts(
    browser: httpx.Client, length: str, shown: str
) -> None:
    """The page has the remaining time as text for users, and in seconds for the countdown."""
    text = page(browser, session_length=length)

    [(seconds, time_left)] = re.findall(r'data-seconds="(\d+)">([^<]+)<', text)
    assert time_left in {shown, shown.replace("29", "30").replace("23 h 59", "24 h 0")}
    assert int(seconds) > 1700


def test_a_unified_api_without_connectors_is_shown_as_empty(browser: httpx.Client) -> None:
    """The group has a message that it has no connectors."""
    shown = page(browser, unified_apis=["lead"])

    assert "<h2>Lead</h2>" in shown
    assert "has no connectors" in shown


def test_only_the_embedded_page_can_be_framed(browser: httpx.Client) -> None:
    """Pages on loopback can frame it; it has no link back, and its actions stay in the frame."""
    visit = Visit(browser, {"redirect_uri": BACK})
    policy = "content-security-policy"

    embedded = browser.get(f"/session/{visit.token}?embedded=true")

    assert "frame-ancestors 'none'" in visit.home.headers[policy]
    assert visit.home.headers["x-frame-options"] == "DENY"
    for response in (embedded, browser.get("/embedded")):
        assert "frame-ancestors http://127.0.0.1:* http://localhost:*;" in response.headers[policy]
        assert "x-frame-options" not in response.headers
    assert BACK not in embedded.text
    location = visit.choose("connect", page="embedded").headers["location"]
    assert location == f"/session/{visit.token}?embedded=true"
    assert browser.get("/session/over?embedded=true").status_code == 401


def test_destructive_actions_require_confirmation(browser: httpx.Client) -> None:
    """Only Disconnect and Delete have the texts of a confirmation dialog."""
    visit = Visit(browser, {"settings": {"unified_apis": ["crm"]}})
    visit.choose("connect")

    confirmed = re.findall(r'value="(\w+)" class="danger"[^>]* data-confirm="\w+"', visit.reload())

    assert confirmed == ["disconnect", "delete"]
    assert visit.reload().count("data-confirm") == 2


def test_every_connector_has_a_symbol(browser: httpx.Client) -> None:
    """Each card uses an existing symbol: that of the connector, or that of its unified API."""
    symbols = re.findall(r'<symbol id="([\w-]+)"', browser.get("/look/symbols.svg").text)
    used = re.findall(r"symbols\.svg#([\w-]+)", page(browser))

    assert len(used) > 10
    assert set(used) <= set(symbols)
    assert {"quickbooks", "crm", "file-storage"} <= set(used)
