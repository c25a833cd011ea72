"""The pages of the emulated Vault are safe against malicious session data."""

import re
from typing import Any

import httpx
import pytest

from tests.support.apideck_calls import created

BACK = "https://app.example.com/back"
HOSTILE = '"><script>alert(1)'


def token_of(browser: httpx.Client, **session: Any) -> str:
    """Create a session, and return its token."""
    return created(browser, **session)["session_token"]


def home(browser: httpx.Client, token: str) -> httpx.Response:
    """Return the first page."""
    return browser.get(f"/session/{token}")


def connector(browser: httpx.Client, token: str, api: str, service: str) -> httpx.Response:
    """Return the page of one connector."""
    return browser.get(f"/integrations/{api}/{service}", params={"jwt": token})


def test_nothing_from_a_session_becomes_markup(browser: httpx.Client) -> None:
    """Every value of a session is shown as text."""
    names = ["vault_name", "logo", "favicon", "privacy_url", "terms_url", "primary_color"]
    people = ["user_name", "account_name", "email"]
    token = token_of(
        browser,
        theme=dict.fromkeys(names, HOSTILE),
        consumer_metadata=dict.fromkeys(people, HOSTILE),
        settings={"unified_apis": [HOSTILE]},
        redirect_uri=HOSTILE,
    )

    for response in (home(browser, token), connector(browser, token, HOSTILE, HOSTILE)):
        assert response.status_code == 200
        assert "<script>" not in response.text
        assert response.text.count("<script") == 1


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "https://user@evil.example",
        "https://[",
        "https://a.example; script-src *",
        "//evil.example",
    ],
)
def test_only_web_addresses_become_links(browser: httpx.Client, url: str) -> None:
    """Links, images and the policy ignore any other URL."""
    theme = {"logo": url, "favicon": url, "privacy_url": url}
    token = token_of(browser, redirect_uri=url, theme=theme)
    form = {"jwt": token, "unified_api": "crm", "service_id": "hubspot", "action": "fail"}

    response = home(browser, token)

    assert f'"{url}"' not in response.text
    assert "evil" not in response.headers["content-security-policy"]
    assert "script-src *" not in response.headers["content-security-policy"]
    assert browser.post("/connect", data=form).headers["location"] == f"/session/{token}"


def test_every_page_forbids_frames_and_foreign_scripts(browser: httpx.Client) -> None:
    """The policy allows only the page's own files, images, and the origin of the redirect URI."""
    token = token_of(browser, redirect_uri=BACK)

    responses = [home(browser, token), connector(browser, token, "crm", "hubspot")]
    responses.append(home(browser, "forged"))

    for response in responses:
        policy = response.headers["content-security-policy"]
        assert policy.startswith("default-src 'none';")
        assert "frame-ancestors 'none'" in policy
        assert "script-src 'self';" in policy
        assert "unsafe" not in policy
        assert response.headers["x-frame-options"] == "DENY"
        assert response.headers["cache-control"] == "no-store"
        assert response.headers["request-id"]
    first = responses[0].headers["content-security-policy"]
    assert "form-action 'self' https://app.example.com;" in first
    [nonce] = re.findall(r'<style nonce="([^"]+)"', responses[0].text)
    assert f"'nonce-{nonce}'" in first
