"""What a caller may request, and what is created from it."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, with_config
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


class VaultSession(BaseModel):
    """A Vault session. Treat it as a password: it opens the customer's connections."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    redirect_url: Annotated[
        str, Field(repr=False, examples=["https://vault.apideck.com/session/eyJ…"])
    ]
    """Where to send the browser, as a top-level navigation."""
    session_token: Annotated[str, Field(repr=False, examples=["eyJ…"])]
    """The same session for embedding: `ApideckVault.open({token})`. Keep it in memory only."""
    expires_at: Annotated[datetime, Field(examples=["2026-01-31T12:00:00Z"])]
    """When the session ends, in UTC."""
