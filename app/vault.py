"""Apideck's vocabulary: the Session that can be created in its Vault, field by field.

Every part is a `TypedDict` because Apideck distinguishes absent fields from null: a field that
was not set is not in the dictionary, and is not sent. Overlaying one part with another is the union
of two dictionaries.

Source: https://developers.apideck.com/apis/vault/reference (operation "Create Session").
"""

import re
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints, with_config
from typing_extensions import TypedDict

from .common.urls import web_url

MAX_SESSION_MINUTES: Final = 7 * 24 * 60
"""Apideck's limit on the length of a session: one week."""

MAX_CONSUMER_ID_LENGTH: Final = 255
"""Largest number of characters of a consumer ID."""

MAX_CUSTOM_SETTINGS_BYTES: Final = 4096
"""Bytes of free-form settings as JSON: the URL of a session contains everything that is sent."""

KNOWN_UNIFIED_APIS: Final = frozenset(
    {
        "accounting",
        "ats",
        "calendar",
        "crm",
        "csp",
        "customer-support",
        "data-warehouse",
        "ecommerce",
        "email",
        "email-marketing",
        "expense-management",
        "file-storage",
        "form",
        "hris",
        "issue-tracking",
        "lead",
        "payroll",
        "pos",
        "procurement",
        "project-management",
        "script",
        "sms",
        "spreadsheet",
        "subscription-analytics",
        "team-messaging",
        "time-registration",
        "transactional-email",
        "vault",
    }
)
"""The known IDs. Apideck adds to them, so an operator may configure others."""

_MINUTES = {"m": 1, "h": 60, "d": 24 * 60}
_SESSION_LENGTH = re.compile(r"([1-9][0-9]{0,4})([mhd])")
_CLOSED = ConfigDict(extra="forbid", use_attribute_docstrings=True)


def session_minutes(length: str) -> int:
    """Return the minutes of a session length such as `30m`, `1h` or `7d`.

    Raises:
        ValueError: it does not have that form, or is longer than Apideck's maximum of one week.
    """
    match = _SESSION_LENGTH.fullmatch(length)
    if match is None:
        raise ValueError("must be a number of minutes, hours or days such as 30m, 1h or 7d")
    minutes = int(match[1]) * _MINUTES[match[2]]
    if minutes > MAX_SESSION_MINUTES:
        raise ValueError("must be at most one week (7d)")
    return minutes


def _session_length(length: str) -> str:
    session_minutes(length)
    return length


# No control characters: these strings are shown in pages and log viewers.
DisplayText = Annotated[
    str, StringConstraints(min_length=1, max_length=256, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")
]
Color = Annotated[str, StringConstraints(pattern=r"^[#a-zA-Z0-9(),.% -]{1,64}$")]
WebUrl = Annotated[str, StringConstraints(max_length=2048), AfterValidator(web_url)]
SessionLength = Annotated[str, AfterValidator(_session_length)]
Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
"""An ID of Apideck: of a unified API, or of a service (a connector)."""

AllowAction = Literal["delete", "disconnect", "reauthorize", "disable"]


@with_config(_CLOSED)
class ConsumerMetadata(TypedDict, total=False):
    """The consumer's names and picture, for people to read in the sidebar."""

    account_name: DisplayText
    """Name of the customer's account."""
    user_name: DisplayText
    """Name of the person."""
    email: DisplayText
    """E-mail address of the person."""
    image: WebUrl
    """URL of a picture of the person or the account."""


@with_config(_CLOSED)
class VaultSettings(TypedDict, total=False):
    """What the Vault shows, and how long the session lasts."""

    unified_apis: Annotated[list[Slug], Field(max_length=64)]
    """Unified APIs to show; empty or absent shows all."""
    hide_resource_settings: bool
    """Hide the configurable resources of an integration. Apideck's default: false."""
    sandbox_mode: bool
    """Show a banner that this is a test environment. Apideck's default: false."""
    isolation_mode: bool
    """Show the connection's settings only, without navigation. Apideck's default: false."""
    session_length: SessionLength
    """How long the session lasts: `30m`, `1h`, `7d`; at most a week. Apideck's default: 1h."""
    show_logs: bool
    """Show the logs page. Apideck's default: true."""
    show_suggestions: bool
    """Show the suggestions page. Apideck's default: false."""
    show_sidebar: bool
    """Show the sidebar. Apideck's default: true."""
    auto_redirect: bool
    """Return to the redirect URI as soon as a connection works. Apideck's default: false."""
    hide_guides: bool
    """Hide Apideck's connection guides. Apideck's default: false."""
    allow_actions: Annotated[list[AllowAction], Field(max_length=16)]
    """Actions to offer on a connection; absent offers all, empty none."""


@with_config(_CLOSED)
class Theme(TypedDict, total=False):
    """How the Vault looks. An absent field has Apideck's default."""

    favicon: WebUrl
    """URL of the favicon."""
    logo: WebUrl
    """URL of the logo."""
    primary_color: Color
    """Color of buttons and links, as in CSS."""
    sidepanel_background_color: Color
    """Background color of the sidebar."""
    sidepanel_text_color: Color
    """Text color of the sidebar."""
    vault_name: DisplayText
    """Name shown in the sidebar."""
    privacy_url: WebUrl
    """URL of the privacy policy."""
    terms_url: WebUrl
    """URL of the terms and conditions."""


class Session(TypedDict, total=False):
    """The body of Apideck's `POST /vault/sessions`."""

    consumer_metadata: ConsumerMetadata
    redirect_uri: str
    settings: VaultSettings
    theme: Theme
    custom_consumer_settings: dict[str, Any]


@with_config(_CLOSED)
class Connection(TypedDict):
    """A connector of a unified API, whose page opens directly."""

    unified_api: Slug
    """Such as `accounting`."""
    service_id: Slug
    """Such as `quickbooks`."""
