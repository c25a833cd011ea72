"""The recorded requests and sessions of the Apideck emulator, and the controls for tests."""

from typing import Any

import httpx
import pytest

from emulators.apideck import ApideckEmulator, faults
from emulators.apideck.named_faults import NAMED
from tests.support.apideck_calls import HEADERS, create_session, created

PAGE = "http://127.0.0.1:8003"


def test_a_request_is_recorded_unchanged(client: httpx.Client, apideck: ApideckEmulator) -> None:
    """The record has method, path, repeated headers, and the exact bytes of the body."""
    body = b'{ "redirect_uri": "https://a.example" }'
    twice = [*HEADERS.items(), ("x-twice", "1"), ("X-Twice", "2")]

    client.post("/vault/sessions", content=body, headers=httpx.Headers(twice))

    [request] = apideck.requests
    assert (request.method, request.path, request.body) == ("POST", "/vault/sessions", body)
    assert [value for name, value in request.headers if name == "x-twice"] == ["1", "2"]
    assert request.header("x-apideck-consumer-id") == "acme"
    assert request.header("x-absent") is None
    assert request.json == {"redirect_uri": "https://a.example"}


def test_a_request_to_an_unknown_path_is_recorded(
    client: httpx.Client, apideck: ApideckEmulator
) -> None:
    """The response is Apideck's 404 error with a Request-Id, and the request is recorded."""
    responses = [client.post("/vault/session"), client.get("/vault/sessions")]

    assert [response.status_code for response in responses] == [404, 404]
    assert all(response.headers["request-id"] for response in responses)
    assert [one.path for one in apideck.requests] == ["/vault/session", "/vault/sessions"]
    assert apideck.minted == []


def test_a_body_that_is_not_json_is_shown_as_text(client: httpx.Client) -> None:
    """The list of requests shows a body that cannot be parsed."""
    client.post("/vault/sessions", content=b"{\xff")

    [shown] = client.get("/__emulator__/requests").json()

    assert (shown["body"], shown["json"]) == ("{\N{REPLACEMENT CHARACTER}", None)


def test_a_session_records_its_times() -> None:
    """Start and end, in seconds, are computed from the clock and the session's length."""
    emulator = ApideckEmulator(clock=lambda: 1_000_000.5)
    with emulator.serve() as url:
        sent = {"settings": {"session_length": "24h"}}
        created(url, **sent)

    [minted] = emulator.minted
    assert (minted.issued_at, minted.expires_at) == (1_000_000, 1_086_400)
    assert (minted.app_id, minted.consumer_id) == ("app", "acme")
    assert minted.session == sent


def test_a_session_expires_by_the_clock() -> None:
    """The pages of a session are available until it expires."""
    now = 1_000_000.0
    emulator = ApideckEmulator(clock=lambda: now)
    with emulator.serve() as url:
        session = created(url)
        now += 3599
        during = httpx.get(session["session_uri"])
        now += 1
        after = httpx.get(session["session_uri"])

    assert "Session ends in" in during.text
    assert (during.status_code, after.status_code) == (200, 401)
    assert "This session has expired" in after.text


def test_emulators_with_the_same_secret_share_sessions() -> None:
    """Tokens stay valid after a restart with a configured secret, but not with a generated one."""
    secret = b"opens nothing, but is long enough"
    with (
        ApideckEmulator(token_secret=secret).serve() as one,
        ApideckEmulator(token_secret=secret).serve() as two,
        ApideckEmulator().serve() as other,
    ):
        token = created(one)["session_token"]
        statuses = [httpx.get(f"{url}/session/{token}").status_code for url in (two, other)]

    assert statuses == [200, 401]


def test_the_vault_origin_can_be_configured() -> None:
    """The URL of a session starts with the configured origin."""
    emulator = ApideckEmulator(vault_origin="https://vault.example")
    with emulator.serve() as url:
        session = created(url)

    assert session["session_uri"] == f"https://vault.example/session/{session['session_token']}"


def test_consumers_are_stored_and_updated(client: httpx.Client, apideck: ApideckEmulator) -> None:
    """A later session of a consumer updates the fields that it contains, and keeps the others."""
    for metadata in ({"user_name": "Ada", "email": "a@acme.example"}, {"user_name": "Grace"}):
        created(client, consumer_metadata=metadata)

    assert set(apideck.consumers) == {("app", "acme")}
    known = {"user_name": "Grace", "email": "a@acme.example"}
    assert apideck.consumer("app", "acme").metadata == known


def test_redirect_protection_can_be_switched_on_and_off(
    client: httpx.Client, apideck: ApideckEmulator
) -> None:
    """Tests can switch it in Python and over HTTP; a value that is not a list is a 400."""
    body = {"redirect_uri": "https://b.example"}
    apideck.protect_redirects(["https://a.example"])
    rejected = create_session(client, **body)
    apideck.allow_any_redirect()
    allowed = create_session(client, **body)
    client.post("/__emulator__/protect-redirects", json={"registered": []})
    rejected_again = create_session(client, **body)
    client.post("/__emulator__/protect-redirects", json={"registered": None})

    assert create_session(client, **body).status_code == 200
    statuses = [one.status_code for one in (rejected, allowed, rejected_again)]
    assert statuses == [400, 200, 400]
    assert "redirect_uri" in rejected.json()["detail"]
    wrong = client.post("/__emulator__/protect-redirects", json={"registered": 5})
    assert wrong.status_code == 400


def test_the_api_key_lists_the_connections_of_a_consumer(
    client: httpx.Client, apideck: ApideckEmulator
) -> None:
    """The request needs the headers for Unify app and consumer; without them it is a 400."""
    apideck.connect("app", "acme", "crm", "hubspot").enabled = False

    listed = client.get("/vault/connections", params={"configured": "true"}).json()["data"]
    del client.headers["x-apideck-consumer-id"]

    [hubspot] = listed
    assert (hubspot["service_id"], hubspot["state"], hubspot["enabled"]) == (
        "hubspot",
        "callable",
        False,
    )
    assert client.get("/vault/connections").status_code == 400


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        (PAGE, PAGE),
        ("http://localhost:3000", "http://localhost:3000"),
        ("https://evil.example", None),
        ("http://127.0.0.1.evil.example", None),
        ("null", None),
    ],
)
def test_pages_on_loopback_can_read_connections(
    client: httpx.Client, origin: str, allowed: str | None
) -> None:
    """CORS allows pages on loopback and no others."""
    preflight = {
        "origin": origin,
        "access-control-request-method": "GET",
        "access-control-request-headers": "authorization",
    }

    checked = client.options("/vault/connections", headers=preflight)
    listed = client.get("/vault/connections", headers={"origin": origin})

    assert checked.headers.get("access-control-allow-origin") == allowed
    assert listed.headers.get("access-control-allow-origin") == allowed
    assert (checked.status_code == 200) == (allowed is not None)


def test_faults_occur_in_order_until_they_are_used_up(
    client: httpx.Client, apideck: ApideckEmulator
) -> None:
    """Faults with a count occur first; a fault without a count lasts until a reset."""
    apideck.fail(faults.error(422), times=None)
    apideck.fail(faults.error(401), times=2)
    apideck.fail(faults.error(404))

    statuses = [create_session(client).status_code for _ in range(6)]
    apideck.reset()

    assert statuses == [401, 401, 404, 422, 422, 422]
    assert create_session(client).status_code == 200


@pytest.mark.parametrize("name", sorted(NAMED))
def test_every_fault_has_a_name_over_http(client: httpx.Client, name: str) -> None:
    """Every fault can be set by its name and its required parameters."""
    required: dict[str, Any] = {
        "error": {"status": 418},
        "redirect": {"url": "https://elsewhere.example"},
    }

    response = client.post("/__emulator__/fail", json={"fault": name, **required.get(name, {})})

    assert response.status_code == 200


def test_a_named_fault_takes_parameters(client: httpx.Client) -> None:
    """The constructor defines the parameters; an unknown one or an invalid type is a 400."""
    fault = {"fault": "error", "status": 400, "detail": {"theme.logo": "is too large"}}
    wrong: list[Any] = [{"fault": "slow", "seconds": "long"}, {"fault": "hang", "x": 1}, {}, []]
    rejected = [client.post("/__emulator__/fail", json=one) for one in wrong]
    client.post("/__emulator__/fail", json={**fault, "times": 2})

    responses = [create_session(client) for _ in range(3)]

    assert [response.status_code for response in rejected] == [400] * 4
    assert [response.status_code for response in responses] == [400, 400, 200]
    assert responses[0].json()["detail"] == fault["detail"]
