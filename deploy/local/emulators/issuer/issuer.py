"""The development issuer, for tests and for `make demo`."""

import contextlib
import json
import time
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from joserfc import jws
from joserfc.jwk import Key
from starlette.applications import Starlette

from emulators.issuer.http import routes
from emulators.issuer.keyring import Keyring
from emulators.issuer.people import PEOPLE
from emulators.serving import serve


class DevelopmentIssuer:
    """Issues valid tokens and, for tests, invalid ones.

    Attributes:
        issuer: the `iss` of its tokens, which is its URL.
        counts: the number of requests for each document.
        opaque: the introspection response for each opaque token.
        fault: `down`, `crash`, `forbidden`, `html`, `redirect`, `oversized`, `malformed-key`,
            `wrong-issuer`, `wrong-subject` or None.
    """

    audience = "vault-bff"

    def __init__(self) -> None:
        self.issuer = "http://127.0.0.1:8002"
        self.app = Starlette(routes=routes(self))
        self.reset()

    def reset(self) -> None:
        """Restore the initial keys, and remove faults, counts and opaque tokens."""
        self.keys = Keyring()
        self.counts: Counter[str] = Counter()
        self.fault: str | None = None
        self.opaque: dict[str, dict[str, Any]] = {}

    @contextlib.contextmanager
    def serve(self, port: int = 0, *, host: str = "127.0.0.1") -> Iterator[str]:
        """Serve the issuer, by default on loopback; yields its URL, which is also its `iss`."""
        with serve(self.app, host=host, port=port) as url:
            self.issuer = url
            yield url

    def token(  # noqa: PLR0913 - tests vary every part of a token
        self,
        person: str = "ada",
        *,
        algorithm: str = "RS256",
        key: Key | None = None,
        typ: str | None = "at+jwt",
        expires_in: float = 300,
        headers: dict[str, Any] | None = None,
        omit: Iterable[str] = (),
        **claims: Any,
    ) -> str:
        """Issue an access token for a person (RFC 9068).

        Args:
            person: the person whose claims the token has.
            algorithm: the signature algorithm.
            key: the key to sign with; by default the issuer's own.
            typ: the header `typ`; None omits it.
            expires_in: seconds until the token expires.
            headers: header members to add or replace; None as a value removes one.
            omit: claims to omit.
            claims: claims to add or replace.
        """
        subject = PEOPLE[person].claims(self.issuer)
        return self.sign(
            {**self._standard(expires_in), **subject, **claims},
            algorithm=algorithm,
            key=key,
            headers={"typ": typ, **(headers or {})},
            omit=omit,
        )

    def service_token(
        self, client: str = "onboarding", *, scope: str = "vault:sessions", **claims: Any
    ) -> str:
        """Issue an access token for a service, as in the client credentials grant."""
        own = {"sub": client, "client_id": client, "scope": scope}
        return self.sign({**self._standard(300), **own, **claims}, headers={"typ": "at+jwt"})

    def opaque_token(self, person: str = "ada", *, expires_in: float = 300, **claims: Any) -> str:
        """Issue an opaque token, which only introspection can verify (RFC 7662).

        Args:
            person: the person whose claims introspection returns.
            expires_in: seconds until the token expires.
            claims: members of the introspection response to add or replace.
        """
        token = uuid.uuid4().hex
        subject = PEOPLE[person].claims(self.issuer)
        self.opaque[token] = {"active": True, **self._standard(expires_in), **subject, **claims}
        return token

    def sign(
        self,
        claims: dict[str, Any],
        *,
        algorithm: str = "RS256",
        key: Key | None = None,
        headers: dict[str, Any] | None = None,
        omit: Iterable[str] = (),
    ) -> str:
        """Sign any claims."""
        key = key or self.keys.signing_key(algorithm)
        header = {"alg": algorithm, "kid": key.kid, **(headers or {})}
        kept = {name: value for name, value in claims.items() if name not in set(omit)}
        return jws.serialize_compact(
            {name: value for name, value in header.items() if value is not None},
            json.dumps(kept).encode(),
            key,
            registry=_Lenient(algorithms=[algorithm, "Ed25519"], strict_check_header=False),
        )

    def times(self, expires_in: float = 300) -> dict[str, Any]:
        """Return the claims `iat` and `exp`."""
        now = int(time.time())
        return {"iat": now, "exp": int(now + expires_in)}

    def _standard(self, expires_in: float) -> dict[str, Any]:
        named = {"iss": self.issuer, "aud": self.audience, "jti": uuid.uuid4().hex}
        return {**named, **self.times(expires_in)}


class _Lenient(jws.JWSRegistry):
    """Signs tokens with any header, because tests need invalid headers."""

    def get_alg(self, name: str) -> Any:
        return super().get_alg("Ed25519" if name == "EdDSA" else name)

    def check_header(self, header: dict[str, Any]) -> None:
        """Check nothing."""
