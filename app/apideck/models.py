"""What the operations of Apideck's API return."""

from dataclasses import dataclass, field
from datetime import datetime

from ..common.urls import origin_of
from ..vault import Connection


@dataclass(frozen=True, slots=True)
class MintedSession:
    """A Vault session. Its token gives access to all connections of the consumer.

    Attributes:
        session_uri: the URL for the browser; contains the token.
        session_token: the token by itself, for embedding. It cannot be revoked.
        expires_at: when the token expires, in UTC.
        consumer_id: the consumer that the token belongs to; None if it does not say.
    """

    session_uri: str = field(repr=False)
    session_token: str = field(repr=False)
    expires_at: datetime
    consumer_id: str | None

    def url(self, connection: Connection | None = None) -> str:
        """Return the URL for the browser: the start page of the Vault, or one connector's page."""
        if connection is None:
            return self.session_uri
        return (
            f"{origin_of(self.session_uri)}/integrations/{connection['unified_api']}/"
            f"{connection['service_id']}?jwt={self.session_token}"
        )
