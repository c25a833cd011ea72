"""Apideck's Python SDK parses the service's requests, and works with the emulator.

The import of the SDK takes seconds, so it happens in fixtures and not during collection.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.apideck import connections, wire
from app.apideck.connections import VaultConnection
from app.vault import KNOWN_UNIFIED_APIS, Session
from emulators.apideck import ApideckEmulator, faults
from emulators.apideck.connected import PLANTED
from emulators.apideck.emulator import API_KEY
from emulators.apideck.faults import Fault
from tests.support.waiting import http_client

if TYPE_CHECKING:
    from apideck_unify import Apideck

# A dependency of the SDK emits this warning on import, on Python 3.12 and later.
pytestmark = pytest.mark.filterwarnings(r"ignore:ast\.\w+ is deprecated:DeprecationWarning")

TEXT = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=40
)
URL = st.sampled_from(["https://app.example.com/a.png", "https://x.example/?a=b&c=d"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


def part(required: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """Return a strategy for a part of a Session: any of its fields, each present or absent."""
    return st.fixed_dictionaries({}, optional=required)


SESSIONS = part(
    {
        "consumer_metadata": part(
            {"account_name": TEXT, "user_name": TEXT, "email": TEXT, "image": URL}
        ),
        "redirect_uri": URL,
        "settings": part(
            {
                "unified_apis": st.lists(st.sampled_from(sorted(KNOWN_UNIFIED_APIS)), max_size=4),
                "session_length": st.sampled_from(["30m", "1h", "24h", "7d"]),
                "allow_actions": st.lists(
                    st.sampled_from(["delete", "disconnect", "reauthorize", "disable"]), max_size=4
                ),
                **{
                    name: st.booleans()
                    for name in (
                        "hide_resource_settings",
                        "sandbox_mode",
                        "isolation_mode",
                        "show_logs",
                        "show_suggestions",
                        "show_sidebar",
                        "auto_redirect",
                        "hide_guides",
                    )
                },
            }
        ),
        "theme": part(
            {
                "favicon": URL,
                "logo": URL,
                "primary_color": st.just("#286efa"),
                "sidepanel_background_color": st.just("#286efa"),
                "sidepanel_text_color": st.just("white"),
                "vault_name": TEXT,
                "privacy_url": URL,
                "terms_url": URL,
            }
        ),
        "custom_consumer_settings": st.dictionaries(TEXT, JSON, max_size=4),
    }
)


@pytest.fixture(scope="module")
def models() -> Any:
    """Return the models and errors of the SDK."""
    return importlib.import_module("apideck_unify.models")


@given(session=SESSIONS)
@settings(max_examples=200, deadline=None)
def test_the_sdk_reads_the_session_that_the_service_sends(models: Any, session: Session) -> None:
    """The models of the SDK read the same values from the bytes that the service sends.

    The SDK adds its own defaults for most settings, so only the fields that were sent are compared.
    """
    sent = json.loads(wire.session_body(session))

    read = models.Session.model_validate(sent)

    # The SDK stores enumeration values as strings, which makes pydantic warn.
    assert read.model_dump(mode="json", exclude_unset=True, warnings=False) == sent == session


def sdk(url: str, key: str = API_KEY) -> Apideck:
    """Return the SDK for the emulator, without its default of fifteen minutes of retries."""
    utils = importlib.import_module("apideck_unify.utils")
    apideck: type[Apideck] = importlib.import_module("apideck_unify").Apideck
    return apideck(
        api_key=key,
        app_id="app",
        consumer_id="acme",
        server_url=url,
        timeout_ms=2000,
        retry_config=utils.RetryConfig(
            "none", utils.BackoffStrategy(1, 1, 1, 1), retry_connection_errors=False
        ),
    )


@pytest.fixture
def client(apideck: ApideckEmulator, apideck_url: str) -> Iterator[Apideck]:  # noqa: ARG001 - reset
    """Return the SDK, connected to the emulator."""
    with sdk(apideck_url) as connected:
        yield connected


def test_the_sdk_creates_a_session(client: Apideck, apideck: ApideckEmulator) -> None:
    """The typed response of the SDK has the values that the emulator created."""
    response = client.vault.sessions.create(
        session={
            "consumer_metadata": {"user_name": "Ada"},
            "redirect_uri": "https://app.example.com",
            "settings": {"show_logs": False},
            "theme": {"vault_name": "Example"},
            "custom_consumer_settings": {"a": None},
        }
    )

    assert response.create_session_response is not None
    [minted] = apideck.minted
    assert response.create_session_response.data.session_token == minted.token
    assert response.create_session_response.data.session_uri.endswith(minted.token)
    assert minted.session["custom_consumer_settings"] == {"a": None}


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (faults.error(400, {"a": "b"}), "BadRequestResponse"),
        (faults.error(401), "UnauthorizedResponse"),
        (faults.error(402, "limit"), "PaymentRequiredResponse"),
        (faults.error(404), "NotFoundResponse"),
        (faults.error(422), "UnprocessableResponse"),
        (faults.html(502), "APIError"),
        (faults.error(500), "APIError"),
        (faults.without_data(), "ResponseValidationError"),
    ],
)
def test_the_sdk_recognizes_the_errors_of_the_emulator(
    client: Apideck, apideck: ApideckEmulator, models: Any, fault: Fault, error: str
) -> None:
    """The SDK raises the typed error that belongs to each error of the emulator."""
    apideck.fail(fault)

    with pytest.raises(getattr(models, error)):
        client.vault.sessions.create(session={})


def test_the_emulator_rejects_what_apideck_rejects(
    client: Apideck, apideck: ApideckEmulator, apideck_url: str, models: Any
) -> None:
    """The emulator rejects a wrong key and a too long session by default, without a fault."""
    with sdk(apideck_url, key="wrong") as other, pytest.raises(models.UnauthorizedResponse):
        other.vault.sessions.create(session={})
    with pytest.raises(models.BadRequestResponse):
        client.vault.sessions.create(session={"settings": {"session_length": "8d"}})
    assert apideck.minted == []


def test_the_sdk_reads_connections(client: Apideck, apideck: ApideckEmulator, models: Any) -> None:
    """The SDK reads the state, and the credentials that the service must not return."""
    apideck.connect("app", "acme", "accounting", "xero")

    listed = client.vault.connections.list(api="accounting", configured=True)
    one = client.vault.connections.get(unified_api="accounting", service_id="xero")

    assert listed.get_connections_response is not None
    assert one.get_connection_response is not None
    [xero] = listed.get_connections_response.data
    assert xero == one.get_connection_response.data
    assert (xero.state, xero.health) == ("callable", "ok")
    assert isinstance(xero.settings, dict)
    assert xero.settings["api_key"] == PLANTED
    assert [field.id for field in xero.form_fields or ()] == ["api_key"]
    # The SDK accepts unknown values of these fields, so their names are compared.
    assert xero.state in {one.value for one in models.ConnectionState}
    assert xero.health in {one.value for one in models.Health}
    with pytest.raises(models.NotFoundResponse):
        client.vault.connections.get(unified_api="accounting", service_id="none")


def test_the_sdk_and_the_service_read_the_same_connection(
    client: Apideck, apideck: ApideckEmulator, apideck_url: str
) -> None:
    """Every field that the service returns has the value that the SDK reads."""
    apideck.connect("app", "acme", "accounting", "xero")
    headers = {
        "authorization": f"Bearer {API_KEY}",
        "x-apideck-app-id": "app",
        "x-apideck-consumer-id": "acme",
    }
    with http_client() as http:
        body = http.get(f"{apideck_url}/vault/connections/accounting/xero", headers=headers).content

    read = client.vault.connections.get(unified_api="accounting", service_id="xero")

    assert read.get_connection_response is not None
    by_sdk = read.get_connection_response.data.model_dump(mode="json", warnings=False)
    by_service = connections.read_one(body, "accounting", "xero")
    assert set(by_service) == set(VaultConnection.__annotations__)
    assert {name: by_sdk[name] for name in by_service} == dict(by_service)
