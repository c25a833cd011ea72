"""What a caller may request, and what is created from it."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any

from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict

from ..vault import Connection, ConsumerMetadata, Session, Theme, VaultSettings

Name = Annotated[str, Field(min_length=1, max_length=64)]
Identifier = Annotated[str, Field(min_length=1, max_length=255)]


@with_config(ConfigDict(extra="forbid", use_attribute_docstrings=True, title="VaultSessionRequest"))
class SessionRequest(TypedDict, total=False):
    """A request for a Vault session. Every field is optional; the operator's policy limits them."""

    return_to: Name | None
    """Name of a registered redirect target; null for no target, for example when the Vault is
    embedded. Not together with `redirect_uri`."""
    redirect_uri: Annotated[str, Field(min_length=1, max_length=2048)]
    """A registered redirect URI, byte for byte. Not together with `return_to`."""
    connection: Connection
    """Opens the page of this connector instead of the list."""
    settings: VaultSettings
    """What the Vault shows, and how long the session lasts."""
    theme: Theme
    """How the Vault looks."""
    custom_consumer_settings: dict[str, Any]
    """Free-form settings that Apideck stores with the consumer."""
    consumer_id: Identifier
    """The consumer of the session; services only."""
    consumer_metadata: ConsumerMetadata
    """The consumer's names and picture, for people to read; services only."""


@dataclass(frozen=True, slots=True)
class SessionPlan:
    """The session that the policy decided on.

    Attributes:
        consumer_id: the consumer of the session.
        session: the session to create. It may hold personal data, so it must not be logged.
        connection: the connector to open directly, if any.
        caller_fields: JSON Pointers of the fields that are sent exactly as the caller supplied
            them. Only these can the caller correct if Apideck rejects one.
        target: name of the redirect target, if any.
    """

    consumer_id: str
    session: Session = field(repr=False)
    connection: Connection | None
    caller_fields: frozenset[str]
    target: str | None


@dataclass(frozen=True, slots=True)
class VaultLink:
    """The URL of the Vault. It gives access to all connections of the consumer until it expires."""

    redirect_url: str = field(repr=False)
    session_token: str = field(repr=False)
    expires_at: datetime
