"""What a session cannot do to the stand-in Hosted Vault's pages."""

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from emulators.apideck import ApideckEmulator
from emulators.apideck.emulator import API_KEY

BACK = "https://app.example.com/back"
HOSTILE = '"><script>alert(1)'
HEADERS = {
    "authorization": f"Bearer {API_KEY}",
    "x-apideck-app-id": "app",
    "x-apideck-consumer-id": "acme",
    "content-type": "application/json",
}


@pytest.fixture
def client(apideck: ApideckEmulator, apideck_url: str) -> Iterator[httpx.Client]:  # noqa: ARG001 - reset
    """Return a client that has no key."""
    with httpx.Client(base_url=apideck_url) as client:
        yield client


def token_of(client: httpx.Client, **session: Any) -> str:
    """Return the token of a new session."""
    made = client.post("/vault/sessions", json=session, headers=HEADERS).json()
    return str(made["data"]["session_token"])


def home(client: httpx.Client, token: str) -> httpx.Response:
    """Return the first page."""
    return client.get(f"/session/{token}")


def connector(client: httpx.Client, token: str, api: str, service: str) -> httpx.Response:
    """Return one connector's page."""
    return client.get(f"/integrations/{api}/{service}", params={"jwt": token})


def test_nothing_from_a_session_becomes_markup(client: httpx.Client) -> None:
    """Wherever it is put, it is text."""
    names = ["vault_name", "logo", "favicon", "privacy_url", "terms_url", "primary_color"]
    people = ["user_name", "account_name", "email"]
    token = token_of(
        client,
        theme=dict.fromkeys(names, HOSTILE),
        consumer_metadata=dict.fromkeys(people, HOSTILE),
        settings={"unified_apis": [HOSTILE]},
        redirect_uri=HOSTILE,
    )

    for answer in (home(client, token), connector(client, token, HOSTILE, HOSTILE)):
        assert answer.status_code == 200
        assert "<script>" not in answer.text
        assert answer.text.count("<script") == 1


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
def test_what_is_no_web_address_becomes_no_link(client: httpx.Client, url: str) -> None:
    """Neither the way back nor an image nor the policy takes it."""
    theme = {"logo": url, "favicon": url, "privacy_url": url}
    token = token_of(client, redirect_uri=url, theme=theme)
    form = {"jwt": token, "unified_api": "crm", "service_id": "hubspot", "action": "fail"}

    shown = home(client, token)

    assert f'"{url}"' not in shown.text
    assert "evil" not in shown.headers["content-security-policy"]
    assert "script-src *" not in shown.headers["content-security-policy"]
    assert client.post("/connect", data=form).headers["location"] == f"/session/{token}"


def test_every_page_refuses_frames_and_foreign_scripts(client: httpx.Client) -> None:
    """The policy allows what the page needs: itself, images, and the way back for its forms."""
    token = token_of(client, redirect_uri=BACK)

    answers = [home(client, token), connector(client, token, "crm", "hubspot")]
    answers.append(home(client, "forged"))

    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none';")
        assert "frame-ancestors 'none'" in policy
        assert "script-src 'self';" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["request-id"]
    assert (
        "form-action 'self' https://app.example.com;"
        in answers[0].headers["content-security-policy"]
    )
    [nonce] = re.findall(r'<style nonce="([^"]+)"', answers[0].text)
    assert f"'nonce-{nonce}'" in answers[0].headers["content-security-policy"]
