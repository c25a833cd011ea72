"""What Apideck sends: full Connection objects, and signed events about them.

Source: https://developers.apideck.com/apis/vault/reference (schema "Connection").
"""

import hashlib
import hmac
import json
import uuid
from datetime import UTC, datetime
from typing import Any

CONNECTORS = 300
"""Connectors in a list."""


def connection(number: int) -> dict[str, Any]:
    """Return a Connection with every field that Apideck documents."""
    service = f"connector-{number}"
    pictures = f"https://res.example.com/{service}"
    unify = "https://unify.example.com/vault"
    return {
        "id": f"accounting+{service}",
        "service_id": service,
        "name": f"Connector {number}",
        "tag_line": "Accounting software for small businesses.",
        "unified_api": "accounting",
        "state": "callable",
        "integration_state": "configured",
        "health": "ok",
        "auth_type": "oauth2",
        "oauth_grant_type": "authorization_code",
        "status": "live",
        "enabled": True,
        "website": f"https://{service}.example.com",
        "icon": f"{pictures}/icon128x128.png",
        "logo": f"{pictures}/logo.svg",
        "authorize_url": f"{unify}/authorize/{service}/app?state={'x' * 200}",
        "revoke_url": f"{unify}/revoke/{service}/app?state={'x' * 200}",
        "settings": {"instance_url": "https://instance.example.com", "api_key": "x" * 40},
        "metadata": {"account": {"name": "Acme", "id": "12345"}},
        "form_fields": [_form_field("instance_url"), _form_field("api_key")],
        "configuration": [{"resource": "invoices", "defaults": [{"id": "a", "value": "b"}]}],
        "configurable_resources": ["invoices"],
        "resource_schema_support": ["invoices"],
        "resource_settings_support": ["invoices"],
        "validation_support": True,
        "schema_support": True,
        "settings_required_for_authorization": ["client_id"],
        "subscriptions": [],
        "has_guide": True,
        "custom_mappings": [],
        "consent_state": "implicit",
        "consents": [],
        "created_at": 1_616_662_879_423,
        "updated_at": 1_616_662_879_424,
    }


def _form_field(name: str) -> dict[str, Any]:
    return {
        "id": name,
        "label": "A label",
        "placeholder": "A placeholder",
        "description": "A sentence about this field.",
        "type": "text",
        "required": True,
        "custom_field": False,
        "sensitive": True,
        "options": [{"label": "A choice", "value": "a", "option_type": "simple"}],
    }


def signed_events(count: int, key: str) -> list[str]:
    """Return events that have just happened, each as its signature, a tab, and its body.

    The signature covers the body with sorted keys, as in Apideck's guide.

    Args:
        count: how many; each has its own id.
        key: the API key.
    """
    occurred_at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return [_signed(_event(number, occurred_at), key) for number in range(count)]


def _event(number: int, occurred_at: str) -> dict[str, Any]:
    entity = {**connection(number % CONNECTORS), "consumer_id": f"person-{number}"}
    return {
        "payload": {
            "event_id": str(uuid.uuid4()),
            "event_type": "vault.connection.callable",
            "service_id": "apideck-vault",
            "entity_id": entity["id"],
            "entity_type": "Connection",
            "entity": entity,
            "execution_attempt": 1,
            "occurred_at": occurred_at,
        }
    }


def _signed(event: dict[str, Any], key: str) -> str:
    content = json.dumps(event, separators=(",", ":"), sort_keys=True)
    signature = hmac.digest(key.encode(), content.encode(), hashlib.sha256).hex()
    return f"{signature}\t{json.dumps(event, separators=(',', ':'))}"
