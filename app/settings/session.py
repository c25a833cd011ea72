"""`SESSION__…`: the policy for sessions."""

import json
from typing import Annotated, Any, Self

import orjson
from pydantic import AfterValidator, Field, model_validator

from ..common import strict_json
from ..common.urls import web_url
from ..vault import (
    MAX_CUSTOM_SETTINGS_BYTES,
    SessionLength,
    Theme,
    VaultSettings,
    session_minutes,
)
from .groups import Group

_GROUPS = {"settings": VaultSettings, "theme": Theme}
_WHOLE = (
    "return_to",
    "redirect_uri",
    "connection",
    "custom_consumer_settings",
    "consumer_metadata",
)
PERMISSIONS = frozenset(
    [
        *_WHOLE,
        *_GROUPS,
        *(f"{name}.{key}" for name, part in _GROUPS.items() for key in part.__annotations__),
    ]
)
"""Every field that a caller may be allowed to set: `theme` as a whole, or only `theme.logo`."""
SERVICES_ONLY = frozenset(["consumer_metadata"])
"""Fields that no user may set: a user's metadata comes from their credential."""


def _permission(value: str) -> str:
    if value not in PERMISSIONS:
        raise ValueError(f"must be one of {', '.join(sorted(PERMISSIONS))}")
    return value


def _users_permission(value: str) -> str:
    if value in SERVICES_ONLY:
        raise ValueError(f"must not contain {value}: a user's metadata comes from the claims")
    return value


def _json_object(value: dict[str, Any]) -> dict[str, Any]:
    # TOML has values that JSON does not have, and orjson writes some of them as null.
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
        strict_json.loads(text)
    except (TypeError, ValueError, RecursionError):
        raise ValueError("must contain only values that JSON has") from None
    if len(orjson.dumps(value)) > MAX_CUSTOM_SETTINGS_BYTES:
        raise ValueError(f"must be at most {MAX_CUSTOM_SETTINGS_BYTES} bytes as JSON")
    return value


Permission = Annotated[str, AfterValidator(_permission)]
UsersPermission = Annotated[Permission, AfterValidator(_users_permission)]
RedirectUri = Annotated[str, AfterValidator(web_url)]
TargetName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]


class SessionDefaults(Group):
    """What every session contains, unless its caller may override it and does."""

    settings: VaultSettings = VaultSettings()
    """Apideck's `settings`. If it has `unified_apis`, callers may name only these."""

    theme: Theme = Theme()
    """Apideck's `theme`."""

    custom_consumer_settings: Annotated[dict[str, Any], AfterValidator(_json_object)] = Field(
        default_factory=dict
    )
    """Apideck's `custom_consumer_settings`, sent unchanged; at most 4096 bytes of JSON."""


class SessionSettings(Group):
    """The policy for sessions: defaults, and the fields that callers may set."""

    return_to: dict[TargetName, RedirectUri] = Field(default_factory=dict)
    """The registered redirect URIs, each under the name that callers use."""

    default_return_to: TargetName | None = None
    """The redirect target for requests that name none."""

    defaults: SessionDefaults = SessionDefaults()
    """What every session contains by default."""

    users_may_set: tuple[UsersPermission, ...] = (
        "return_to",
        "redirect_uri",
        "connection",
        "settings.unified_apis",
    )
    """Fields that a signed-in user may set."""

    services_may_set: tuple[Permission, ...] = (
        "return_to",
        "redirect_uri",
        "connection",
        "settings",
        "theme",
        "custom_consumer_settings",
        "consumer_metadata",
    )
    """Fields that a service may set."""

    max_session_length: SessionLength = "1h"
    """The longest session that is created. A session cannot be revoked before it expires."""

    join_identical: bool = True
    """Give a caller who sends identical requests at the same time, such as a double click, one
    session for all of them."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.default_return_to is not None and self.default_return_to not in self.return_to:
            raise ValueError("default_return_to must be the name of an entry of return_to")
        length = self.defaults.settings.get("session_length")
        if length and session_minutes(length) > session_minutes(self.max_session_length):
            raise ValueError(
                f"defaults.settings.session_length ({length}) must be at most "
                f"max_session_length ({self.max_session_length})"
            )
        return self
