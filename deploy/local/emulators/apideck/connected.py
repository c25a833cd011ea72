"""The connections of a consumer, and Apideck's description of them.

Source: https://developers.apideck.com/apis/vault/reference (schema "Connection").
"""

import time
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import quote

from emulators.apideck.catalogue import service_name

PLANTED = "planted-credential"
"""Stands for credentials of the customer's systems, which must never reach a page."""

State = Literal["available", "added", "authorized", "callable", "invalid"]
_CREATED_AT = 1_616_662_879_423


def _now() -> int:
    return time.time_ns() // 1_000_000


@dataclass(slots=True)
class Connected:
    """A connector that a consumer has connected at least once, and has not deleted.

    Attributes:
        enabled: whether it is switched on.
        state: Apideck's state of the connection.
        health: Apideck's health of the connection.
        created_at: milliseconds since 1970.
        updated_at: milliseconds since 1970.
    """

    enabled: bool = True
    state: str = "callable"
    health: str = "ok"
    created_at: int = field(default_factory=_now)
    updated_at: int = field(default_factory=_now)

    def change(self, action: str) -> None:
        """Perform an action of the Vault's pages."""
        if action in {"connect", "reauthorize"}:
            self.enabled, self.state, self.health = True, "callable", "ok"
        elif action in {"enable", "disable"}:
            self.enabled = action == "enable"
        elif action == "disconnect":
            self.state, self.health = "added", "needs_auth"
        self.updated_at = _now()


def described(
    api: str, service: str, connected: Connected | None, planted: str = PLANTED
) -> dict[str, Any]:
    """Return a Connection as Apideck returns it.

    Args:
        api: the unified API.
        service: the connector.
        connected: the consumer's connection; None if there is none.
        planted: the value of each field that can hold a credential.
    """
    name = service_name(api, service)
    picture = f"https://res.example.com/{quote(service)}"
    state = quote(f"{planted}-{api}-{service}")
    return {
        "id": f"{api}+{service}",
        "service_id": service,
        "name": name,
        "tag_line": f"{name} for every business.",
        "unified_api": api,
        "state": connected.state if connected else "available",
        "integration_state": "configured",
        "health": connected.health if connected else "needs_auth",
        "auth_type": "oauth2",
        "oauth_grant_type": "authorization_code",
        "status": "live",
        "enabled": connected.enabled if connected else False,
        "website": f"https://{quote(service)}.example.com",
        "icon": f"{picture}/icon128x128.png",
        "logo": f"{picture}/logo.svg",
        "authorize_url": f"https://unify.apideck.com/vault/authorize/{service}/app?state={state}",
        "revoke_url": f"https://unify.apideck.com/vault/revoke/{service}/app?state={state}",
        "settings": {"instance_url": f"https://x.example/?key={planted}", "api_key": planted},
        "metadata": {"account": {"name": planted, "id": planted}},
        "form_fields": [_form_field(planted)],
        "configuration": [{"resource": "leads", "defaults": [{"id": "a", "value": planted}]}],
        "configurable_resources": ["leads"],
        "resource_schema_support": ["leads"],
        "resource_settings_support": ["leads"],
        "validation_support": True,
        "schema_support": True,
        "settings_required_for_authorization": ["client_id"],
        "subscriptions": [],
        "has_guide": True,
        "custom_mappings": [],
        "consent_state": "implicit",
        "consents": [],
        "created_at": connected.created_at if connected else _CREATED_AT,
        "updated_at": connected.updated_at if connected else None,
    }


def _form_field(planted: str) -> dict[str, Any]:
    return {
        "id": "api_key",
        "label": "API key",
        "placeholder": planted,
        "description": f"For example {planted}",
        "type": "text",
        "required": True,
        "custom_field": False,
        "sensitive": True,
        "options": [{"label": planted, "value": planted, "option_type": "simple"}],
    }
