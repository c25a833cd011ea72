"""What a caller asks for, and what comes of it."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any

from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict

from app.vault import Connection, ConsumerMetadata, Session, Theme, VaultSettings

Name = Annotated[str, Field(min_length=1, max_length=64)]
Identifier = Annotated[str, Field(min_length=1, max_length=255)]


@with_config(ConfigDict(extra="forbid", use_attribute_docstrings=True, title="VaultSessionRequest"))
class SessionRequest(TypedDict, total=False):
    """What a caller asks for. Every field is optional; which ones may be set, the policy says."""

    return_to: Name | None
    """Name of a configured redirect target; null asks for a session without a way back, as for
    embedding. Not together with `redirect_uri`."""
    redirect_uri: Annotated[str, Field(min_length=1, max_length=2048)]
    """A registered redirect URI, byte for byte. Not together with `return_to`."""
    connection: Connection
    """Open this connector directly instead of the list."""
    settings: VaultSettings
    """What the Vault shows, and for how long."""
    theme: Theme
    """How the Vault looks."""
    custom_consumer_settings: dict[str, Any]
    """Free settings that Apideck keeps with the consumer."""
    consumer_id: Identifier
    """For whom; services only."""
    consumer_metadata: ConsumerMetadata
    """Who that is, for people to read; services only."""


@dataclass(frozen=True, slots=True)
class SessionPlan:
    """What the policy decided to ask Apideck for.

    Attributes:
        consumer_id: for whom.
        session: what to send; of its free text, nothing belongs in a log.
        connection: the connector to open directly, if any.
        callers_own: JSON Pointers of what the caller supplied and is sent as it is: of this alone
            can a refusal of Apideck's be the caller's to mend.
        target: the name of the redirect target, if any.
    """

    consumer_id: str
    session: Session = field(repr=False)
    connection: Connection | None
    callers_own: frozenset[str]
    target: str | None


@dataclass(frozen=True, slots=True)
class VaultLink:
    """The way into the Vault. Whoever has it has the consumer's connections until it expires."""

    redirect_url: str = field(repr=False)
    session_token: str = field(repr=False)
    expires_at: datetime
