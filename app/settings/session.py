"""`SESSION__…`: what a session may be."""

import json
from typing import Annotated, Any, Self

import orjson
from pydantic import AfterValidator, Field, model_validator

from app.common import strict_json
from app.common.urls import web_url
from app.settings.groups import Group
from app.vault import (
    MAX_CUSTOM_SETTINGS_BYTES,
    SessionLength,
    Theme,
    VaultSettings,
    session_minutes,
)

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
"""Every field that a caller can be allowed to set: `theme` is all of it, `theme.logo` one of it."""
SERVICES_ONLY = frozenset(["consumer_metadata"])
"""Those of them that a user cannot: their own is in their identity."""


def _permission(value: str) -> str:
    if value not in PERMISSIONS:
        raise ValueError("names no field that a caller can be allowed to set")
    return value


def _users_permission(value: str) -> str:
    if value in SERVICES_ONLY:
        raise ValueError(
            f"must not name {value}: what a user may say of themselves is in the claims"
        )
    return value


def _free(value: dict[str, Any]) -> dict[str, Any]:
    # TOML has values that JSON has not, and orjson would write some of them as null.
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
        strict_json.loads(text)
    except (TypeError, ValueError, RecursionError):
        raise ValueError("must hold nothing but what JSON can") from None
    if len(orjson.dumps(value)) > MAX_CUSTOM_SETTINGS_BYTES:
        raise ValueError(f"must be at most {MAX_CUSTOM_SETTINGS_BYTES} bytes as JSON")
    return value


Permission = Annotated[str, AfterValidator(_permission)]
UsersPermission = Annotated[Permission, AfterValidator(_users_permission)]
RedirectUri = Annotated[str, AfterValidator(web_url)]
TargetName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]


class SessionDefaults(Group):
    """What every session has unless its caller may say otherwise, and does."""

    settings: VaultSettings = VaultSettings()
    """Apideck's `settings`. `unified_apis` given here are also the only ones a caller may name."""

    theme: Theme = Theme()
    """Apideck's `theme`."""

    custom_consumer_settings: Annotated[dict[str, Any], AfterValidator(_free)] = Field(
        default_factory=dict
    )
    """Apideck's `custom_consumer_settings`: passed on as they are, 4096 bytes of JSON at most."""


class SessionSettings(Group):
    """What a session may be, and which part of it is the caller's to say."""

    return_to: dict[TargetName, RedirectUri] = Field(default_factory=dict)
    """The registered redirect URIs, each under the name by which callers ask for it."""

    default_return_to: TargetName | None = None
    """The one that is used when the caller names none."""

    defaults: SessionDefaults = SessionDefaults()
    """What lies underneath every session."""

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
    """The longest session that a caller may ask for, and that is given. A session cannot be
    revoked before its end."""

    join_identical: bool = True
    """Answer a caller's identical requests that come while the first is on its way, as double
    clicks do, with the one session that Apideck makes for it."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.default_return_to is not None and self.default_return_to not in self.return_to:
            raise ValueError("default_return_to names no entry of return_to")
        length = self.defaults.settings.get("session_length")
        if length and session_minutes(length) > session_minutes(self.max_session_length):
            raise ValueError("defaults.settings.session_length is longer than max_session_length")
        return self
