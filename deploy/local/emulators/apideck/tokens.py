"""Session tokens: HS256 JWTs that hold the whole request in clear, as Apideck's do."""

import time
import uuid
from collections.abc import Callable
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

SCOPES = ["vault:session"]


class Tokens:
    """Makes and reads session tokens."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._key = OctKey.generate_key(256)
        self._clock = clock

    def issue(self, consumer_id: str, app_id: str, body: dict[str, Any], seconds: int) -> str:
        """Return a new token; no two are alike."""
        now = int(self._clock())
        claims = {
            **body,
            "consumer_id": consumer_id,
            "application_id": app_id,
            "scopes": SCOPES,
            "jti": uuid.uuid4().hex,
            "iat": now,
            "exp": now + seconds,
        }
        return jwt.encode({"alg": "HS256"}, claims, self._key)

    def read(self, token: str) -> dict[str, Any] | None:
        """Return a token's claims, or None when it is not ours or has expired."""
        try:
            claims = jwt.decode(token, self._key, algorithms=["HS256"]).claims
        except (JoseError, ValueError):
            return None
        return claims if claims["exp"] > self._clock() else None
