"""The requests that Apideck accepts, written from its documentation only.

Source: https://developers.apideck.com/apis/vault/reference (operation "Create Session").
"""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AnyUrl, BaseModel, ConfigDict

_UNITS = {"m": 60, "h": 3600, "d": 86400}
WEEK_SECONDS = 7 * 86400


def length_seconds(length: str) -> int:
    """Return the seconds of a session length such as `30m`."""
    match = re.fullmatch(r"(\d+)([mhd])", length)
    if match is None:
        raise ValueError("session_length must look like 30m, 1h, 24h or 7d")
    seconds = int(match[1]) * _UNITS[match[2]]
    if not 0 < seconds <= WEEK_SECONDS:
        raise ValueError("session_length must be at most one week")
    return seconds


def _length(value: str) -> str:
    length_seconds(value)
    return value


def _url(value: str) -> str:
    AnyUrl(value)
    return value


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Open(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True)


class ConsumerMetadata(_Open):
    """Data about the consumer; unknown fields are accepted."""

    account_name: str = ""
    user_name: str = ""
    email: str = ""
    image: Annotated[str, AfterValidator(_url)] = ""


class Settings(_Strict):
    """Settings of the Vault's pages; unknown fields are rejected."""

    unified_apis: list[str] = []
    hide_resource_settings: bool = False
    sandbox_mode: bool = False
    isolation_mode: bool = False
    session_length: Annotated[str, AfterValidator(_length)] = "1h"
    show_logs: bool = True
    show_suggestions: bool = False
    show_sidebar: bool = True
    auto_redirect: bool = False
    hide_guides: bool = False
    allow_actions: list[Literal["delete", "disconnect", "reauthorize", "disable"]] = [
        "delete",
        "disconnect",
        "reauthorize",
        "disable",
    ]


class Theme(_Open):
    """The appearance of the Vault's pages; unknown fields are accepted."""

    favicon: str = ""
    logo: str = ""
    primary_color: str = ""
    sidepanel_background_color: str = ""
    sidepanel_text_color: str = ""
    vault_name: str = ""
    privacy_url: str = ""
    terms_url: str = ""


class Session(_Strict):
    """The body of a request for a session; unknown fields are rejected."""

    consumer_metadata: ConsumerMetadata = ConsumerMetadata()
    redirect_uri: str = ""
    settings: Settings = Settings()
    theme: Theme = Theme()
    custom_consumer_settings: dict[str, Any] = {}
