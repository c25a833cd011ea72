"""What comes back from Apideck."""

from dataclasses import dataclass, field
from datetime import datetime

from app.common.urls import origin_of
from app.vault import Connection


@dataclass(frozen=True, slots=True)
class MintedSession:
    """A session that Apideck made. Whoever has its token has the consumer's connections.

    Attributes:
        session_uri: where the browser goes; holds the token.
        session_token: the token by itself, for embedding. It cannot be revoked.
        expires_at: when the token ends, in UTC.
        request_id: Apideck's id of the call, which its support asks for.
    """

    session_uri: str = field(repr=False)
    session_token: str = field(repr=False)
    expires_at: datetime
    request_id: str | None

    def url(self, connection: Connection | None = None) -> str:
        """Return where the browser goes: the Vault's first page, or one connector's."""
        if connection is None:
            return self.session_uri
        return (
            f"{origin_of(self.session_uri)}/integrations/{connection['unified_api']}/"
            f"{connection['service_id']}?jwt={self.session_token}"
        )
