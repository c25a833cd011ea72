"""Events as Apideck delivers and signs them; shares no code with the service."""

import hashlib
import hmac
import json
from base64 import b64encode
from typing import Any, Literal

API_KEY = "sk_live_0123456789abcdef"
EVENT_ID = "9755c355-56c3-4a2f-a2da-86ff4411fccb"
OCCURRED_AT = "2026-11-30T12:00:00.000Z"


def event(**changes: Any) -> dict[str, Any]:
    """Return the body of an event about a connection; None as a change removes that field."""
    payload = {
        "event_id": EVENT_ID,
        "event_type": "vault.connection.callable",
        "service_id": "apideck-vault",
        "entity_id": "app+acme",
        "entity_type": "Connection",
        "entity": {
            "id": "accounting+quickbooks",
            "consumer_id": "acme",
            "unified_api": "accounting",
            "service_id": "quickbooks",
            "state": "callable",
            "form_fields": [{"value": "Größe 1.0 😀", "id": "realm", "required": True}],
        },
        "execution_attempt": 1,
        "occurred_at": OCCURRED_AT,
    } | changes
    return {"payload": {name: value for name, value in payload.items() if value is not None}}


def raw(body: Any) -> bytes:
    """Return a body as it is sent: in the order of its construction, with white space."""
    return json.dumps(body, ensure_ascii=False, indent=1).encode()


def sorted_everywhere(body: Any) -> bytes:
    """Return the sorted form of Apideck's guide; only for values that Python writes like JSON."""
    return json.dumps(body, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def sorted_outside_arrays(body: Any) -> bytes:
    """Return the sorted form that Apideck's sample code computes, in the same encoding."""

    def ordered(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: ordered(value[key]) for key in sorted(value)}
        return value

    return json.dumps(ordered(body), ensure_ascii=False, separators=(",", ":")).encode()


def sign(content: bytes, key: str = API_KEY, encoding: Literal["hex", "base64"] = "hex") -> str:
    """Return the value of `x-apideck-signature`."""
    digest = hmac.digest(key.encode(), content, hashlib.sha256)
    return digest.hex() if encoding == "hex" else b64encode(digest).decode()
