"""What the service's tests believe of the emulator, held against Apideck's documentation."""

import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from joserfc import jws

from emulators.apideck import ApideckEmulator, faults
from emulators.apideck.emulator import API_KEY

HEADERS = {
    "authorization": f"Bearer {API_KEY}",
    "x-apideck-app-id": "app",
    "x-apideck-consumer-id": "acme",
    "content-type": "application/json",
}


@pytest.fixture
def client(apideck: ApideckEmulator, apideck_url: str) -> Iterator[httpx.Client]:
    """Return a client of the emulator's, with all the right headers."""
    assert apideck.requests == []
    with httpx.Client(base_url=apideck_url, headers=HEADERS) as client:
        yield client


def create(client: httpx.Client, **body: Any) -> httpx.Response:
    """Ask for a session."""
    return client.post("/vault/sessions", json=body)


def token_of(client: httpx.Client, **body: Any) -> str:
    """Return the token of a new session."""
    token: str = create(client, **body).json()["data"]["session_token"]
    return token


@pytest.mark.parametrize("missing", sorted(HEADERS))
def test_each_header_is_required(client: httpx.Client, missing: str) -> None:
    """Without one of them it is a 400 that names it."""
    del client.headers[missing]

    answer = client.post("/vault/sessions", content=b"")

    assert answer.status_code == 400
    assert answer.json()["type_name"] == "RequestHeadersValidationError"
    assert missing in answer.json()["detail"]
    assert answer.headers["request-id"]


def test_a_wrong_key_is_a_401(client: httpx.Client) -> None:
    """The envelope has all of Apideck's members."""
    answer = client.post("/vault/sessions", headers={"authorization": "Bearer wrong"})

    assert answer.status_code == 401
    assert set(answer.json()) == {
        "status_code",
        "error",
        "type_name",
        "message",
        "detail",
        "ref",
    }


@pytest.mark.parametrize("content", [b"", b"{}"])
def test_the_body_is_optional(client: httpx.Client, content: bytes) -> None:
    """No body and an empty object both give a session."""
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
def test_what_apideck_refuses_is_refused(client: httpx.Client, body: dict[str, Any]) -> None:
    """Unknown keys of the root and of settings, wrong types and lengths are a 400."""
    answer = create(client, **body)

    assert answer.status_code == 400
    assert answer.json()["type_name"] == "RequestValidationError"


def test_a_body_that_is_not_json_is_refused(client: httpx.Client) -> None:
    """Text that cannot be parsed is a 400."""
    assert client.post("/vault/sessions", content=b"{").status_code == 400


@pytest.mark.parametrize("part", ["theme", "consumer_metadata"])
def test_what_apideck_is_lenient_about_is_accepted(client: httpx.Client, part: str) -> None:
    """Unknown keys of theme and metadata pass."""
    assert create(client, **{part: {"unknown": 1}}).status_code == 200


def test_the_token_holds_the_request_in_clear(client: httpx.Client) -> None:
    """Consumer, application and every field sent are claims, and no two tokens are alike."""
    body = {"settings": {"session_length": "30m"}, "custom_consumer_settings": {"a": None}}
    tokens = {token_of(client, **body) for _ in range(2)}

    assert len(tokens) == 2
    for token in tokens:
        signed = jws.extract_compact(token.encode())
        claims = httpx.Response(200, content=signed.payload).json()
        assert signed.headers()["alg"] == "HS256"
        assert claims["exp"] - claims["iat"] == 1800
        assert (claims["consumer_id"], claims["application_id"]) == ("acme", "app")
        assert claims["custom_consumer_settings"] == {"a": None}


def test_redirects_can_be_protected(client: httpx.Client, apideck: ApideckEmulator) -> None:
    """With protection on, an unregistered redirect URI is a 400 and nothing is minted."""
    client.post("/__emulator__/protect-redirects", json={"registered": ["https://a.example"]})

    assert create(client, redirect_uri="https://b.example").status_code == 400
    assert apideck.minted == []
    assert create(client, redirect_uri="https://a.example").status_code == 200


def test_it_can_be_driven_over_http(client: httpx.Client) -> None:
    """Faults, what was seen and what was minted are within reach of a browser test."""
    assert client.post("/__emulator__/fail", json={"fault": "402"}).status_code == 200
    assert client.post("/__emulator__/fail", json={"fault": "?"}).status_code == 404
    assert create(client).status_code == 402
    assert create(client).status_code == 200
    assert len(client.get("/__emulator__/requests").json()) == 2
    assert len(client.get("/__emulator__/minted").json()) == 1
    client.post("/__emulator__/reset")
    assert client.get("/__emulator__/requests").json() == []


def test_a_client_that_leaves_is_noticed(client: httpx.Client, apideck: ApideckEmulator) -> None:
    """A request that is given up while it hangs counts as a disconnect."""
    apideck.fail(faults.Broken("hang"))
    with pytest.raises(httpx.ReadTimeout):
        client.post("/vault/sessions", json={}, timeout=0.1)
    # The server has a thread of its own, and hears of the hang-up when that runs.
    deadline = time.monotonic() + 10
    while apideck.state.disconnects == 0 and time.monotonic() < deadline:
        time.sleep(0.01)

    assert apideck.state.disconnects == 1


def test_connecting_is_remembered_and_leads_back(client: httpx.Client) -> None:
    """With auto_redirect the way back names the connector; the consumer keeps the connection."""
    back = "https://app.example.com/back?x=y"
    token = token_of(client, redirect_uri=back, settings={"auto_redirect": True})
    form = {"jwt": token, "unified_api": "crm", "service_id": "hubspot"}

    connected = client.post("/connect", data={**form, "action": "connect"})

    assert connected.status_code == 303
    assert connected.headers["location"] == f"{back}&authorizedConnection=hubspot"
    listed = client.get("/vault/connections", headers={"authorization": f"Bearer {token}"}).json()
    assert listed["data"] == [{"unified_api": "crm", "service_id": "hubspot", "state": "callable"}]
    assert "Disconnect" in client.get(f"/session/{token}").text
    failed = client.post("/connect", data={**form, "action": "fail"})
    assert "error_type=ConnectorExecutionError" in failed.headers["location"]
    client.post("/connect", data={**form, "action": "disconnect"})
    assert "Disconnect" not in client.get(f"/session/{token}").text


def test_the_vault_shows_what_it_was_given(client: httpx.Client) -> None:
    """Consumer, theme and way back are on the page, as text, and it refuses to be framed."""
    token = token_of(
        client,
        consumer_metadata={"user_name": "<b>Ada</b>", "image": "https://x.example/a.png"},
        theme={"vault_name": "Example & Co", "primary_color": "#123456"},
        redirect_uri="https://app.example.com/back",
        settings={"unified_apis": ["crm", "lead"], "sandbox_mode": True},
    )

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
    """What is no colour does not reach the style sheet."""
    page = client.get(f"/session/{token_of(client, theme={'primary_color': colour})}")

    assert colour not in page.text


def test_one_connector_can_be_opened_by_itself(client: httpx.Client) -> None:
    """The deep link shows that connector and no other, even one that is not in the catalogue."""
    token = token_of(client)

    assert "Xero" in client.get(f"/integrations/accounting/xero?jwt={token}").text
    assert "brand-new" in client.get(f"/integrations/lead/brand-new?jwt={token}").text


def test_a_session_that_is_none_gets_the_expired_page(client: httpx.Client) -> None:
    """A forged token opens nothing, wherever it is shown."""
    answers = [
        client.get("/session/forged"),
        client.get("/integrations/crm/hubspot?jwt=forged"),
        client.post("/connect", data={"jwt": "forged"}),
        client.get("/vault/connections", headers={"authorization": "Bearer forged"}),
    ]

    assert [answer.status_code for answer in answers] == [401] * 4
