"""What the emulator tells of what it saw, made and remembers, and how it is driven."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from emulators.apideck import ApideckEmulator, faults
from emulators.apideck.emulator import API_KEY
from emulators.apideck.named_faults import NAMED

HEADERS = {
    "authorization": f"Bearer {API_KEY}",
    "x-apideck-app-id": "app",
    "x-apideck-consumer-id": "acme",
    "content-type": "application/json",
}
PAGE = "http://127.0.0.1:8003"


@pytest.fixture
def client(apideck: ApideckEmulator, apideck_url: str) -> Iterator[httpx.Client]:  # noqa: ARG001 - reset
    """Return a client of the emulator's, with all the right headers."""
    with httpx.Client(base_url=apideck_url, headers=HEADERS) as client:
        yield client


def test_a_request_is_kept_as_it_arrived(client: httpx.Client, apideck: ApideckEmulator) -> None:
    """Method, path, headers that come twice, and the body's very bytes."""
    body = b'{ "redirect_uri": "https://a.example" }'
    twice = [*HEADERS.items(), ("x-twice", "1"), ("X-Twice", "2")]

    client.post("/vault/sessions", content=body, headers=httpx.Headers(twice))

    [seen] = apideck.requests
    assert (seen.method, seen.path, seen.body) == ("POST", "/vault/sessions", body)
    assert [value for name, value in seen.headers if name == "x-twice"] == ["1", "2"]
    assert seen.header("x-apideck-consumer-id") == "acme"
    assert seen.header("x-absent") is None
    assert seen.json == {"redirect_uri": "https://a.example"}


def test_a_request_to_the_wrong_place_is_kept_as_well(
    client: httpx.Client, apideck: ApideckEmulator
) -> None:
    """It is a 404 in Apideck's envelope, with a Request-Id, and it was sent all the same."""
    answers = [client.post("/vault/session"), client.get("/vault/sessions")]

    assert [answer.status_code for answer in answers] == [404, 404]
    assert all(answer.headers["request-id"] for answer in answers)
    assert [seen.path for seen in apideck.requests] == ["/vault/session", "/vault/sessions"]
    assert apideck.minted == []


def test_what_is_no_json_can_be_shown(client: httpx.Client) -> None:
    """A body that cannot be parsed is shown as text over HTTP."""
    client.post("/vault/sessions", content=b"{\xff")

    [shown] = client.get("/__emulator__/requests").json()

    assert (shown["body"], shown["json"]) == ("{\N{REPLACEMENT CHARACTER}", None)


def test_a_minted_session_tells_its_times() -> None:
    """They come from the clock and the session's length, in seconds."""
    emulator = ApideckEmulator(clock=lambda: 1_000_000.5)
    with emulator.serve() as url:
        sent = {"settings": {"session_length": "24h"}}
        httpx.post(f"{url}/vault/sessions", json=sent, headers=HEADERS)

    [minted] = emulator.minted
    assert (minted.issued_at, minted.expires_at) == (1_000_000, 1_086_400)
    assert (minted.app_id, minted.consumer_id) == ("app", "acme")
    assert minted.session == sent


def test_a_session_ends_when_the_clock_says_so() -> None:
    """Its pages are gone a second after its last."""
    now = 1_000_000.0
    emulator = ApideckEmulator(clock=lambda: now)
    with emulator.serve() as url:
        made = httpx.post(f"{url}/vault/sessions", headers=HEADERS).json()["data"]
        now += 3599
        during = httpx.get(made["session_uri"])
        now += 1
        after = httpx.get(made["session_uri"])

    assert "Session ends in" in during.text
    assert (during.status_code, after.status_code) == (200, 401)
    assert "This session has expired" in after.text


def test_two_emulators_with_one_secret_know_each_others_sessions() -> None:
    """A secret that was given outlives the process; one that was made up does not."""
    secret = b"opens nothing, but is long enough"
    with (
        ApideckEmulator(token_secret=secret).serve() as one,
        ApideckEmulator(token_secret=secret).serve() as two,
        ApideckEmulator().serve() as stranger,
    ):
        made = httpx.post(f"{one}/vault/sessions", headers=HEADERS).json()["data"]
        statuses = [
            httpx.get(f"{url}/session/{made['session_token']}").status_code
            for url in (two, stranger)
        ]

    assert statuses == [200, 401]


def test_sessions_open_where_one_says() -> None:
    """Behind another name the pages are where that name leads."""
    emulator = ApideckEmulator(vault_origin="https://vault.example")
    with emulator.serve() as url:
        made = httpx.post(f"{url}/vault/sessions", headers=HEADERS).json()["data"]

    assert made["session_uri"] == f"https://vault.example/session/{made['session_token']}"


def test_consumers_are_kept_and_brought_up_to_date(
    client: httpx.Client, apideck: ApideckEmulator
) -> None:
    """The second session of a consumer changes what it says, and keeps the rest."""
    for metadata in ({"user_name": "Ada", "email": "a@acme.example"}, {"user_name": "Grace"}):
        client.post("/vault/sessions", json={"consumer_metadata": metadata})

    assert set(apideck.consumers) == {("app", "acme")}
    known = {"user_name": "Grace", "email": "a@acme.example"}
    assert apideck.consumer("app", "acme").metadata == known


def test_redirect_protection_can_be_switched_off_again(
    client: httpx.Client, apideck: ApideckEmulator
) -> None:
    """From Python and over HTTP; what is no list of strings is a 400."""
    body = {"redirect_uri": "https://b.example"}
    apideck.protect_redirects(["https://a.example"])
    refused = client.post("/vault/sessions", json=body)
    apideck.allow_any_redirect()
    allowed = client.post("/vault/sessions", json=body)
    client.post("/__emulator__/protect-redirects", json={"registered": []})
    refused_again = client.post("/vault/sessions", json=body)
    client.post("/__emulator__/protect-redirects", json={"registered": None})

    assert client.post("/vault/sessions", json=body).status_code == 200
    assert (refused.status_code, allowed.status_code, refused_again.status_code) == (400, 200, 400)
    assert "redirect_uri" in refused.json()["detail"]
    wrong = client.post("/__emulator__/protect-redirects", json={"registered": 5})
    assert wrong.status_code == 400


def test_the_api_key_opens_a_consumers_connections(
    client: httpx.Client, apideck: ApideckEmulator
) -> None:
    """With the application and the consumer in headers; without them it opens nothing."""
    apideck.consumer("app", "acme").connections["crm", "hubspot"] = False

    listed = client.get("/vault/connections").json()["data"]
    del client.headers["x-apideck-consumer-id"]

    assert listed == [
        {"unified_api": "crm", "service_id": "hubspot", "state": "callable", "enabled": False}
    ]
    assert client.get("/vault/connections").status_code == 401


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
def test_pages_on_loopback_may_read_connections(
    client: httpx.Client, origin: str, allowed: str | None
) -> None:
    """A browser's preflight is answered for them, and for no other page."""
    preflight = {
        "origin": origin,
        "access-control-request-method": "GET",
        "access-control-request-headers": "authorization",
    }

    asked = client.options("/vault/connections", headers=preflight)
    read = client.get("/vault/connections", headers={"origin": origin})

    assert asked.headers.get("access-control-allow-origin") == allowed
    assert read.headers.get("access-control-allow-origin") == allowed
    assert (asked.status_code == 200) == (allowed is not None)


def test_faults_come_in_turn_and_then_it_works_again(
    client: httpx.Client, apideck: ApideckEmulator
) -> None:
    """Those for a number of times come first, those without one last until reset."""
    apideck.fail(faults.error(422), times=None)
    apideck.fail(faults.error(401), times=2)
    apideck.fail(faults.error(404))

    statuses = [client.post("/vault/sessions").status_code for _ in range(6)]
    apideck.reset()

    assert statuses == [401, 401, 404, 422, 422, 422]
    assert client.post("/vault/sessions").status_code == 200


@pytest.mark.parametrize("name", sorted(NAMED))
def test_every_fault_has_a_name_over_http(client: httpx.Client, name: str) -> None:
    """Each name is accepted, with the parameters that it cannot do without."""
    needed: dict[str, Any] = {
        "error": {"status": 418},
        "redirect": {"url": "https://elsewhere.example"},
    }

    asked = client.post("/__emulator__/fail", json={"fault": name, **needed.get(name, {})})

    assert asked.status_code == 200


def test_a_named_fault_takes_parameters(client: httpx.Client) -> None:
    """Those of its constructor; an unknown one or a wrong type is a 400."""
    fault = {"fault": "error", "status": 400, "detail": {"theme.logo": "is too large"}}
    wrong: list[Any] = [{"fault": "slow", "seconds": "long"}, {"fault": "hang", "x": 1}, {}, []]
    refused = [client.post("/__emulator__/fail", json=one) for one in wrong]
    client.post("/__emulator__/fail", json={**fault, "times": 2})

    answers = [client.post("/vault/sessions") for _ in range(3)]

    assert [answer.status_code for answer in refused] == [400] * 4
    assert [answer.status_code for answer in answers] == [400, 400, 200]
    assert answers[0].json()["detail"] == fault["detail"]
