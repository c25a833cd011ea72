"""The Apideck emulator behaves as Apideck documents."""

from typing import Any

import httpx
import pytest
from joserfc import jws

from emulators.apideck import ApideckEmulator
from tests.support.apideck_calls import HEADERS, create_session, created


@pytest.mark.parametrize("missing", sorted(HEADERS))
def test_each_header_is_required(client: httpx.Client, missing: str) -> None:
    """A request without one of the headers is a 400 that names the header."""
    del client.headers[missing]

    response = client.post("/vault/sessions", content=b"")

    assert response.status_code == 400
    assert response.json()["type_name"] == "RequestHeadersValidationError"
    assert missing in response.json()["detail"]
    assert response.headers["request-id"]


def test_a_wrong_key_is_a_401(client: httpx.Client) -> None:
    """The body of the error has all members of Apideck's errors."""
    response = create_session(client, {"authorization": "Bearer wrong"})

    assert response.status_code == 401
    members = {"status_code", "error", "type_name", "message", "detail", "ref"}
    assert set(response.json()) == members


@pytest.mark.parametrize("content", [b"", b"{}"])
def test_the_body_is_optional(client: httpx.Client, content: bytes) -> None:
    """A request without a body and one with an empty object both create a session."""
    assert client.post("/vault/sessions", content=content).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        {"unknown": 1},
        {"settings": {"unknown": 1}},
        {"settings": {"show_logs": "yes"}},
        {"settings": {"show_logs": None}},
        {"settings": {"session_length": "8d"}},
        {"settings": {"session_length": "soon"}},
        {"settings": {"allow_actions": ["explode"]}},
        {"consumer_metadata": {"image": "no url"}},
        {"redirect_uri": None},
    ],
)
def test_invalid_bodies_are_rejected(client: httpx.Client, body: dict[str, Any]) -> None:
    """Unknown top-level fields and settings, wrong types and invalid lengths are a 400."""
    response = create_session(client, **body)

    assert response.status_code == 400
    assert response.json()["type_name"] == "RequestValidationError"


def test_a_body_that_is_not_json_is_rejected(client: httpx.Client) -> None:
    """A body that cannot be parsed is a 400."""
    assert client.post("/vault/sessions", content=b"{").status_code == 400


@pytest.mark.parametrize("part", ["theme", "consumer_metadata"])
def test_unknown_fields_of_theme_and_metadata_are_accepted(client: httpx.Client, part: str) -> None:
    """Apideck does not validate these two objects, so the emulator does not either."""
    assert create_session(client, **{part: {"unknown": 1}}).status_code == 200


def test_the_token_contains_the_whole_request_unencrypted(client: httpx.Client) -> None:
    """The consumer, the Unify app and every field of the request are claims; tokens are unique."""
    body = {"settings": {"session_length": "30m"}, "custom_consumer_settings": {"a": None}}
    tokens = {created(client, **body)["session_token"] for _ in range(2)}

    assert len(tokens) == 2
    for token in tokens:
        signed = jws.extract_compact(token.encode())
        claims = httpx.Response(200, content=signed.payload).json()
        assert signed.headers()["alg"] == "HS256"
        assert claims["exp"] - claims["iat"] == 1800
        assert (claims["consumer_id"], claims["application_id"]) == ("acme", "app")
        assert claims["custom_consumer_settings"] == {"a": None}


def test_redirect_protection_rejects_unregistered_uris(
    client: httpx.Client, apideck: ApideckEmulator
) -> None:
    """With protection on, an unregistered redirect URI is a 400 and creates no session."""
    client.post("/__emulator__/protect-redirects", json={"registered": ["https://a.example"]})

    assert create_session(client, redirect_uri="https://b.example").status_code == 400
    assert apideck.minted == []
    assert create_session(client, redirect_uri="https://a.example").status_code == 200


def test_the_emulator_can_be_controlled_over_http(client: httpx.Client) -> None:
    """A client can set faults, read the recorded requests and sessions, and reset the emulator."""
    assert client.post("/__emulator__/fail", json={"fault": "402"}).status_code == 200
    assert client.post("/__emulator__/fail", json={"fault": "?"}).status_code == 404
    assert create_session(client).status_code == 402
    assert create_session(client).status_code == 200
    assert len(client.get("/__emulator__/requests").json()) == 2
    assert len(client.get("/__emulator__/minted").json()) == 1
    client.post("/__emulator__/reset")
    assert client.get("/__emulator__/requests").json() == []


def test_a_connection_is_stored_and_redirects_back(client: httpx.Client) -> None:
    """With `auto_redirect` the redirect names the connector; the consumer has the connection."""
    back = "https://app.example.com/back?x=y"
    session = created(client, redirect_uri=back, settings={"auto_redirect": True})
    token = session["session_token"]
    form = {"jwt": token, "unified_api": "crm", "service_id": "hubspot"}

    connected = client.post("/connect", data={**form, "action": "connect"})

    assert connected.status_code == 303
    assert connected.headers["location"] == f"{back}&authorizedConnection=hubspot"
    listed = client.get("/vault/connections", headers={"authorization": f"Bearer {token}"}).json()
    [hubspot] = [one for one in listed["data"] if one["service_id"] == "hubspot"]
    assert (hubspot["unified_api"], hubspot["state"], hubspot["enabled"]) == (
        "crm",
        "callable",
        True,
    )
    assert "Disconnect" in client.get(f"/session/{token}").text
    failed = client.post("/connect", data={**form, "action": "fail"})
    assert "error_type=ConnectorExecutionError" in failed.headers["location"]
    client.post("/connect", data={**form, "action": "disconnect"})
    assert "Disconnect" not in client.get(f"/session/{token}").text


def test_the_vault_shows_the_session(client: httpx.Client) -> None:
    """The page shows consumer, theme and redirect URI as text, and forbids framing."""
    token = created(
        client,
        consumer_metadata={"user_name": "<b>Ada</b>", "image": "https://x.example/a.png"},
        theme={"vault_name": "Example & Co", "primary_color": "#123456"},
        redirect_uri="https://app.example.com/back",
        settings={"unified_apis": ["crm", "lead"], "sandbox_mode": True},
    )["session_token"]

    page = client.get(f"/session/{token}")

    assert "&lt;b&gt;Ada&lt;/b&gt;" in page.text
    assert "Example &amp; Co" in page.text
    assert "#123456" in page.text
    assert "Back to app.example.com" in page.text
    assert "QuickBooks" not in page.text
    assert page.headers["x-frame-options"] == "DENY"
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]


@pytest.mark.parametrize("colour", ["red;} body{", "url(x)", "expression(1)"])
def test_a_theme_cannot_inject_style(client: httpx.Client, colour: str) -> None:
    """A value that is not a colour does not reach the style sheet."""
    page = client.get(created(client, theme={"primary_color": colour})["session_uri"])

    assert colour not in page.text


def test_a_deep_link_opens_one_connector(client: httpx.Client) -> None:
    """The page shows that connector, even if the catalogue does not list it."""
    token = created(client)["session_token"]

    assert "Xero" in client.get(f"/integrations/accounting/xero?jwt={token}").text
    assert "brand-new" in client.get(f"/integrations/lead/brand-new?jwt={token}").text


def test_a_forged_token_gets_the_expired_page(client: httpx.Client) -> None:
    """A forged session token opens no page and lists no connections."""
    responses = [
        client.get("/session/forged"),
        client.get("/integrations/crm/hubspot?jwt=forged"),
        client.post("/connect", data={"jwt": "forged"}),
        client.get("/vault/connections", headers={"authorization": "Bearer forged"}),
    ]

    assert [response.status_code for response in responses] == [401] * 4
