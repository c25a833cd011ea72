"""The issuer itself: what tests drive by hand and `make demo` runs as a server."""

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
    """Issues tokens that hold, and, for tests, tokens that do not.

    Attributes:
        issuer: the `iss` of its tokens: the URL that it is served at.
        counts: how often each of its documents was asked for.
        opaque: what introspection says of each opaque token.
        fault: what is wrong with it: `down`, `crash`, `forbidden`, `html`, `redirect`, `oversized`,
            `malformed-key`, `wrong-issuer` or nothing.
    """

    audience = "vault-bff"

    def __init__(self) -> None:
        self.issuer = "http://127.0.0.1:8002"
        self.app = Starlette(routes=routes(self))
        self.reset()

    def reset(self) -> None:
        """Forget everything: first keys, no fault, no counts."""
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

    def token(  # noqa: PLR0913 - everything about a token can be wrong
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
            person: whose claims to start from.
            algorithm: the signature algorithm.
            key: a key to sign with instead of the issuer's own.
            typ: the header `typ`; None leaves it out.
            expires_in: seconds until it expires.
            headers: members to add to the header, or to replace; None as a value removes one.
            omit: claims to leave out.
            claims: claims to add or to replace.
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
        """Issue an access token for a service, as client credentials give it."""
        own = {"sub": client, "client_id": client, "scope": scope}
        return self.sign({**self._standard(300), **own, **claims}, headers={"typ": "at+jwt"})

    def opaque_token(self, person: str = "ada", *, expires_in: float = 300, **claims: Any) -> str:
        """Issue a token that means something to this issuer alone (RFC 7662 tells what).

        Args:
            person: whose claims to start from.
            expires_in: seconds until it expires.
            claims: members of the introspection response to add or to replace.
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
        """Sign whatever it is."""
        key = key or self.keys.signing_key(algorithm)
        header = {"alg": algorithm, "kid": key.kid, **(headers or {})}
        left = {name: value for name, value in claims.items() if name not in set(omit)}
        return jws.serialize_compact(
            {name: value for name, value in header.items() if value is not None},
            json.dumps(left).encode(),
            key,
            registry=_Lenient(algorithms=[algorithm, "Ed25519"], strict_check_header=False),
        )

    def times(self, expires_in: float = 300) -> dict[str, Any]:
        """Return the claims that say from when until when."""
        now = int(time.time())
        return {"iat": now, "exp": int(now + expires_in)}

    def _standard(self, expires_in: float) -> dict[str, Any]:
        named = {"iss": self.issuer, "aud": self.audience, "jti": uuid.uuid4().hex}
        return {**named, **self.times(expires_in)}


class _Lenient(jws.JWSRegistry):
    """Signs what tests ask for, strange headers included."""

    def get_alg(self, name: str) -> Any:
        return super().get_alg("Ed25519" if name == "EdDSA" else name)

    def check_header(self, header: dict[str, Any]) -> None:
        """Check nothing."""
