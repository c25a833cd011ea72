"""Verification of signed JSON Web Tokens (RFC 7519).

joserfc does the cryptography. What it is lenient about is checked here (RFC 8725).
"""

from collections.abc import Iterable
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwa import JWSAlgModel

from app.identity.credentials import MAX_CREDENTIAL_LENGTH
from app.identity.jwks import Jwks
from app.identity.models import Claims
from app.identity.token_rules import TokenRules, invalid
from app.identity.unverified_token import UnverifiedToken
from app.settings import IssuerSettings

MAX_KID_LENGTH = 256


class _Registry(jws.JWSRegistry):
    """The allowed algorithms, by the names that tokens use."""

    max_header_length = MAX_CREDENTIAL_LENGTH

    def get_alg(self, name: str) -> JWSAlgModel:
        """Return the algorithm; RFC 8037's `EdDSA` is `Ed25519` in RFC 9864 for our only curve."""
        return super().get_alg("Ed25519" if name == "EdDSA" else name)


def signature_algorithms(names: Iterable[str]) -> jws.JWSRegistry:
    """Return joserfc's registry of these algorithms, by the names that tokens use."""
    return _Registry(algorithms=[*names, "Ed25519"], strict_check_header=False)


class JwtVerifier:
    """Verifies the tokens of one issuer."""

    def __init__(self, issuer: IssuerSettings, jwks: Jwks, rules: TokenRules) -> None:
        self._issuer = issuer
        self._jwks = jwks
        self._rules = rules
        self._registry = signature_algorithms(issuer.algorithms)

    async def verify(self, token: UnverifiedToken) -> Claims:
        """Return the claims of a token after verifying its header, signature and claims.

        Raises:
            IdentityError: the token is not valid, or the issuer's keys are unavailable.
        """
        algorithm = self._check_header(token.header)
        key = await self._jwks.key(token.header.get("kid"), algorithm)
        try:
            jws.deserialize_compact(token.text, key.key, registry=self._registry)
        except (JoseError, ValueError):
            raise invalid("the signature does not verify") from None
        self._rules.check(token.claims)
        return token.claims

    def _check_header(self, header: dict[str, Any]) -> str:
        algorithm = header.get("alg")
        if not isinstance(algorithm, str) or algorithm not in self._issuer.algorithms:
            raise invalid("the algorithm is not allowed for this issuer")
        if "crit" in header or "b64" in header:
            raise invalid("the header requires an extension (crit or b64)")
        kid = header.get("kid")
        if not isinstance(kid, str | None) or len(kid or "") > MAX_KID_LENGTH:
            raise invalid("the kid is not a string, or too long")
        self._check_type(header.get("typ"))
        return algorithm

    def _check_type(self, value: Any) -> None:
        """Check the header `typ`, which tells kinds of tokens apart (RFC 8725 section 3.11)."""
        kind = value.lower().removeprefix("application/") if isinstance(value, str) else value
        if kind == "at+jwt":
            return
        if self._issuer.token_type == "at+jwt":  # noqa: S105 - a media type
            raise invalid("the typ is not at+jwt")
        if kind is not None and (not isinstance(kind, str) or "+" in kind):
            raise invalid("the typ is that of another kind of token")
