"""Creating Vault sessions.

Source: https://developers.apideck.com/apis/vault/reference (operation "Create Session").
"""

from typing import Final

from ..common.urls import origin_of
from ..vault import Session
from . import wire
from .client import ApideckClient
from .exchange import Call, Operation, Result
from .models import MintedSession

CREATE_SESSION: Final = Operation("create_session", "POST", "/vault/sessions", success="Minted")


async def create_session(
    apideck: ApideckClient, consumer_id: str, session: Session
) -> Result[MintedSession]:
    """Create a Vault session for a consumer; Apideck creates the consumer if it is unknown.

    The attack: a proxy or cache returns a response to another caller's request. Its token would
    give access to another customer's connections. So consumer and origin are checked.

    Args:
        apideck: the client of a Unify app.
        consumer_id: printable ASCII without spaces; it becomes a header.
        session: the session to create; only fields that it holds are sent.

    Raises:
        ApideckError: there is no session; each outcome has its own class.
        OutOfDescriptorsError: this process has no file descriptor for a connection.
    """

    def read(body: bytes) -> MintedSession:
        created = wire.created_session(body)
        if created.consumer_id not in {None, consumer_id}:
            received = (created.consumer_id or "")[:100]
            raise wire.InvalidResponseError(
                f"a session of consumer {received!r}, expected {consumer_id!r}"
            )
        if (origin := origin_of(created.session_uri)) not in apideck.vault_origins:
            expected = " or ".join(apideck.vault_origins)
            raise wire.InvalidResponseError(
                f"origin of session_uri is {origin or 'invalid'}, expected {expected}"
            )
        return created

    call = Call(consumer_id, wire.session_body(session))
    return await apideck.call(CREATE_SESSION, call, read)
