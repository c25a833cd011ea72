"""A signed JSON Web Token becomes verified claims.

joserfc does the cryptography; what it is lenient about is checked here (RFC 8725).
"""

import binascii
import re
from base64 import urlsafe_b64decode
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwa import JWSAlgModel

from app.common import strict_json
from app.identity.credentials import MAX_CREDENTIAL_LENGTH
from app.identity.jwks import Jwks
from app.identity.models import Claims
from app.identity.token_rules import TokenRules, invalid
from app.settings import IssuerSettings

MAX_KID_LENGTH = 256

_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")


class _Registry(jws.JWSRegistry):
    """The allowed algorithms, under the names that tokens use."""

    max_header_length = MAX_CREDENTIAL_LENGTH

    def get_alg(self, name: str) -> JWSAlgModel:
        """Resolve RFC 8037's `EdDSA` to what RFC 9864 calls it for the only curve we take."""
        return super().get_alg("Ed25519" if name == "EdDSA" else name)


def signature_algorithms(names: Iterable[str]) -> jws.JWSRegistry:
    """Return joserfc's registry of these algorithms, by the names that tokens use."""
    return _Registry(algorithms=[*names, "Ed25519"], strict_check_header=False)


@dataclass(frozen=True, slots=True)
class UnverifiedToken:
    """A token taken apart, nothing of it believed yet."""

    text: str = field(repr=False)
    header: dict[str, Any] = field(repr=False)
    claims: dict[str, Any] = field(repr=False)


def parse(text: str) -> UnverifiedToken | None:
    """Take a compact JWS apart (RFC 7515 section 7.1); None for what is not of that form.

    Raises:
        UnauthenticatedError: when it is of that form, and what is in it is not JSON objects.
    """
    if _COMPACT.fullmatch(text) is None:
        return None
    header, claims, _ = text.split(".")
    return UnverifiedToken(text, _object(header, "header"), _object(claims, "payload"))


class JwtVerifier:
    """Verifies the tokens of one issuer with its keys."""

    def __init__(self, issuer: IssuerSettings, jwks: Jwks, rules: TokenRules) -> None:
        self._issuer = issuer
        self._jwks = jwks
        self._rules = rules
        self._registry = signature_algorithms(issuer.algorithms)

    async def verify(self, token: UnverifiedToken) -> Claims:
        """Return the token's claims once everything about it holds.

        Raises:
            IdentityError: when anything does not, or the issuer's keys are not to be had.
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
            raise invalid("its algorithm is not allowed for this issuer")
        if "crit" in header or "b64" in header:
            raise invalid("it asks for an extension (crit or b64)")
        kid = header.get("kid")
        if not isinstance(kid, str | None) or len(kid or "") > MAX_KID_LENGTH:
            raise invalid("its kid is not a string, or too long")
        self._check_type(header.get("typ"))
        return algorithm

    def _check_type(self, value: Any) -> None:
        """Check the header `typ`, by which issuers tell kinds of tokens apart (RFC 8725 3.11)."""
        kind = value.lower().removeprefix("application/") if isinstance(value, str) else value
        if kind == "at+jwt":
            return
        if self._issuer.token_type == "at+jwt":  # noqa: S105 - a media type
            raise invalid("its typ is not at+jwt")
        if kind is not None and (not isinstance(kind, str) or "+" in kind):
            raise invalid("its typ is that of another kind of token")


def _object(segment: str, what: str) -> dict[str, Any]:
    try:
        value = strict_json.loads(urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))
    except (binascii.Error, strict_json.InvalidJSONError):
        raise invalid(f"its {what} is not JSON") from None
    if not isinstance(value, dict):
        raise invalid(f"its {what} is not a JSON object")
    return value
