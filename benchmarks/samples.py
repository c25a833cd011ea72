"""Apideck's payloads: full Connection objects, and signed events about them.

Source: https://developers.apideck.com/apis/vault/reference (schema "Connection").
"""

import hashlib
import hmac
import json
import uuid
from datetime import UTC, datetime
from typing import Any

from emulators.apideck.connected import Connected, described

CONNECTORS = 300
"""Number of connectors in a list."""


def connection(number: int) -> dict[str, Any]:
    """Return a Connection with every field that Apideck documents."""
    connected = Connected(created_at=1_616_662_879_423, updated_at=1_616_662_879_424)
    return described("accounting", f"connector-{number}", connected, planted="x" * 40)


def signed_events(count: int, key: str) -> list[str]:
    """Return current events, each as its signature, a tab and its body.

    The signature covers the body with sorted keys, as in Apideck's guide.

    Args:
        count: number of events; each has a unique ID.
        key: the API key, which signs them.
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
    signed_body = json.dumps(event, separators=(",", ":"), sort_keys=True)
    signature = hmac.digest(key.encode(), signed_body.encode(), hashlib.sha256).hex()
    return f"{signature}\t{json.dumps(event, separators=(',', ':'))}"
