"""Session tokens: signed JWTs (HS256) that contain the whole request, like Apideck's."""

import time
import uuid
from collections.abc import Callable
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from emulators.apideck.state import MintedSession

SCOPES = ["vault:session"]


class Tokens:
    """Creates and verifies session tokens.

    Args:
        clock: returns the seconds since 1970.
        secret: signs the tokens; by default a random one.
    """

    def __init__(self, clock: Callable[[], float] = time.time, secret: bytes | None = None) -> None:
        self._key = OctKey.import_key(secret) if secret else OctKey.generate_key(256)
        self.clock = clock

    def mint(
        self, app_id: str, consumer_id: str, body: dict[str, Any], seconds: int
    ) -> MintedSession:
        """Return a new session that lasts this many seconds, with a unique token."""
        now = int(self.clock())
        claims = {
            **body,
            "consumer_id": consumer_id,
            "application_id": app_id,
            "scopes": SCOPES,
            "jti": uuid.uuid4().hex,
            "iat": now,
            "exp": now + seconds,
        }
        token = jwt.encode({"alg": "HS256"}, claims, self._key)
        return MintedSession(token, consumer_id, app_id, body, now, now + seconds)

    def read(self, token: str) -> dict[str, Any] | None:
        """Return the claims of a token, or None if it is invalid or expired."""
        try:
            claims = jwt.decode(token, self._key, algorithms=["HS256"]).claims
        except (JoseError, ValueError):
            return None
        return claims if claims["exp"] > self.clock() else None
