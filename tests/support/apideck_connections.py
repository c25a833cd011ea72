"""Connections as Apideck returns them, with a secret in each field that a browser must not see."""

import json
from typing import Any

PLANTED = "planted-credential"
"""The value of every field that must never reach a browser."""

SAFE: dict[str, Any] = {
    "id": "accounting+quickbooks",
    "unified_api": "accounting",
    "service_id": "quickbooks",
    "name": "QuickBooks",
    "tag_line": "Accounting software for small businesses.",
    "website": "https://quickbooks.example.com",
    "icon": "https://res.example.com/quickbooks/icon128x128.png",
    "logo": "https://res.example.com/quickbooks/logo.svg?w=400",
    "state": "callable",
    "integration_state": "configured",
    "health": "ok",
    "auth_type": "oauth2",
    "status": "live",
    "enabled": True,
    "consent_state": "granted",
    "created_at": 1_616_662_879_423,
    "updated_at": 1_616_662_879_424,
}
"""The fields that a browser may see."""

UNSAFE: dict[str, Any] = {
    "authorize_url": f"https://unify.apideck.com/vault/authorize/x/y?state={PLANTED}",
    "revoke_url": f"https://unify.apideck.com/vault/revoke/x/y?state={PLANTED}",
    "settings": {"api_key": PLANTED, "nested": {"password": PLANTED}},
    "metadata": {"company_id": PLANTED},
    "form_fields": [{"id": "api_key", "value": PLANTED, "sensitive": True}],
    "configuration": [{"resource": "leads", "defaults": [{"id": "a", "value": PLANTED}]}],
    "configurable_resources": [PLANTED],
    "resource_schema_support": [PLANTED],
    "resource_settings_support": [PLANTED],
    "settings_required_for_authorization": [PLANTED],
    "subscriptions": [{"downstream_id": PLANTED}],
    "custom_mappings": [{"id": PLANTED, "value": PLANTED}],
    "consents": [{"id": PLANTED, "resources": {"a": PLANTED}}],
    "oauth_grant_type": PLANTED,
    "consumer_id": PLANTED,
    "application_id": PLANTED,
    "has_guide": True,
    "schema_support": True,
    "validation_support": True,
    "a_field_of_the_future": {"token": PLANTED},
}
"""All other fields; some of them can hold credentials."""


def connection(**changes: Any) -> dict[str, Any]:
    """Return a connection with all fields."""
    return {**SAFE, **UNSAFE, **changes}


def response(data: Any) -> bytes:
    """Return the body of Apideck's 200."""
    whole = {"status_code": 200, "status": "OK", "data": data, "_raw": {"secret": PLANTED}}
    return json.dumps(whole).encode()
