"""The connections that the Apideck emulator returns."""

from typing import Any

import httpx
import pytest

from emulators.apideck import ApideckEmulator
from emulators.apideck.connected import PLANTED
from tests.support.apideck_connections import SAFE, UNSAFE

XERO = "/vault/connections/accounting/xero"


def state_of(client: httpx.Client) -> tuple[str, str, bool]:
    """Return `state`, `health` and `enabled` of one connection."""
    one = client.get(XERO).json()["data"]
    return one["state"], one["health"], one["enabled"]


def act(client: httpx.Client, token: str, *actions: str) -> None:
    """Perform actions on one connector in the Vault."""
    form = {"jwt": token, "unified_api": "accounting", "service_id": "xero"}
    for action in actions:
        assert client.post("/connect", data={**form, "action": action}).status_code == 303


@pytest.fixture
def token(client: httpx.Client) -> str:
    """Create a session of the consumer, and return its token."""
    created: dict[str, Any] = client.post("/vault/sessions", json={}).json()
    return str(created["data"]["session_token"])


@pytest.mark.parametrize(
    ("actions", "expected"),
    [
        ((), ("available", "needs_auth", False)),
        (("connect",), ("callable", "ok", True)),
        (("connect", "disable"), ("callable", "ok", False)),
        (("connect", "disable", "enable"), ("callable", "ok", True)),
        (("connect", "disconnect"), ("added", "needs_auth", True)),
        (("connect", "disconnect", "reauthorize"), ("callable", "ok", True)),
        (("connect", "delete"), ("available", "needs_auth", False)),
    ],
    ids=lambda value: "-".join(map(str, value)),
)
def test_actions_in_the_vault_change_the_connection(
    client: httpx.Client, token: str, actions: tuple[str, ...], expected: tuple[str, str, bool]
) -> None:
    """After each action the state and the health are those that Apideck documents."""
    act(client, token, *actions)

    assert state_of(client) == expected


def test_a_list_has_every_connector_and_can_be_filtered(
    client: httpx.Client, apideck: ApideckEmulator
) -> None:
    """`configured` selects connectors with or without a connection; `api` selects a unified API."""
    apideck.connect("app", "acme", "accounting", "xero")
    apideck.connect("app", "acme", "lead", "brand-new")

    def listed(**params: str) -> set[str]:
        found = client.get("/vault/connections", params=params).json()["data"]
        return {f"{one['unified_api']}/{one['service_id']}" for one in found}

    assert {"accounting/xero", "lead/brand-new", "crm/hubspot"} < listed()
    assert listed(configured="true") == {"accounting/xero", "lead/brand-new"}
    assert listed(configured="false") == listed() - listed(configured="true")
    assert listed(api="accounting") == {
        "accounting/netsuite",
        "accounting/quickbooks",
        "accounting/xero",
    }
    assert listed(api="none") == set()


def test_an_unknown_consumer_has_no_connections(client: httpx.Client) -> None:
    """The first session creates the consumer; an unknown connector is a 404."""
    assert client.get("/vault/connections").json()["data"] == []
    assert client.get(XERO).status_code == 404
    client.post("/vault/sessions", json={})
    assert client.get(XERO).status_code == 200
    assert client.get("/vault/connections/accounting/none").json()["type_name"] == (
        "EntityNotFoundError"
    )


def test_every_field_that_can_hold_a_credential_has_a_planted_one(
    client: httpx.Client, apideck: ApideckEmulator
) -> None:
    """So a test can detect a leak by searching a response for the planted value."""
    apideck.connect("app", "acme", "accounting", "xero")

    one = client.get(XERO).json()["data"]

    assert SAFE.keys() <= one.keys()
    for field in ("authorize_url", "revoke_url", "settings", "metadata", "form_fields"):
        assert field in UNSAFE
        assert PLANTED in str(one[field])
    assert not [field for field in SAFE if PLANTED in str(one[field])]


def test_requests_are_recorded_with_their_query(
    client: httpx.Client, apideck: ApideckEmulator
) -> None:
    """A test can assert which path and query Apideck received."""
    client.get("/vault/connections?api=crm")
    client.get(XERO)

    assert [(one.path, one.query) for one in apideck.requests] == [
        ("/vault/connections", "api=crm"),
        (XERO, ""),
    ]
