"""A signed JSON Web Token becomes verified claims.

What is asked of a token: RFC 7519 (JWT), RFC 8725 (best current practice), RFC 9068 (access
tokens). joserfc does the cryptography; what it is lenient about is checked here.
"""

import binascii
import re
import time
from base64 import urlsafe_b64decode
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwa import JWSAlgModel

from app import strict_json
from app.errors import UnauthenticatedError
from app.identity.jwks import Jwks
from app.identity.models import Claims
from app.settings import IssuerSettings
from app.settings.identity import listed

MAX_TOKEN_LENGTH = 8192
"""Characters of a token that is looked at at all."""

_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")


class _Registry(jws.JWSRegistry):
    """The allowed algorithms, under the names that tokens use."""

    max_header_length = MAX_TOKEN_LENGTH

    def get_alg(self, name: str) -> JWSAlgModel:
        """Resolve RFC 8037's `EdDSA` to what RFC 9864 calls it for the only curve we take."""
        return super().get_alg("Ed25519" if name == "EdDSA" else name)


@dataclass(frozen=True, slots=True)
class UnverifiedToken:
    """A token taken apart, nothing of it believed yet."""

    text: str = field(repr=False)
    header: dict[str, Any] = field(repr=False)
    claims: dict[str, Any] = field(repr=False)


def parse(text: str) -> UnverifiedToken:
    """Take a compact JWS apart (RFC 7515 section 7.1); nothing is verified.

    Raises:
        UnauthenticatedError: when it is too long or is not of that form.
    """
    if len(text) > MAX_TOKEN_LENGTH:
        raise invalid("the token is too long")
    if _COMPACT.fullmatch(text) is None:
        raise invalid("not a signed token in compact form")
    header, claims, _ = text.split(".")
    return UnverifiedToken(text, _object(header, "header"), _object(claims, "payload"))


def invalid(reason: str) -> UnauthenticatedError:
    """Return the one answer that every bad token gets; only the operator learns why."""
    return UnauthenticatedError("The access token is not valid.", reason=reason)


class JwtVerifier:
    """Verifies the tokens of one issuer."""

    def __init__(
        self, issuer: IssuerSettings, jwks: Jwks, clock: Callable[[], float] = time.time
    ) -> None:
        self._issuer = issuer
        self._audience = frozenset(listed(issuer.audience))
        self._jwks = jwks
        self._clock = clock
        self._registry = _Registry(
            algorithms=[*issuer.algorithms, "Ed25519"], strict_check_header=False
        )

    async def verify(self, token: UnverifiedToken) -> Claims:
        """Return the token's claims once everything about it holds.

        Raises:
            UnauthenticatedError: when anything does not.
            IdentityProviderUnavailableError: when the issuer's keys are not to be had.
        """
        algorithm = self._check_header(token.header)
        key = await self._jwks.key(token.header.get("kid"), algorithm)
        try:
            jws.deserialize_compact(token.text, key.key, registry=self._registry)
        except (JoseError, ValueError):
            raise invalid("the signature does not verify") from None
        self._check_claims(token.claims)
        return token.claims

    def _check_header(self, header: dict[str, Any]) -> str:
        algorithm = header.get("alg")
        if not isinstance(algorithm, str) or algorithm not in self._issuer.algorithms:
            raise invalid("its algorithm is not allowed for this issuer")
        if "crit" in header or "b64" in header:
            raise invalid("it asks for an extension (crit or b64)")
        if not isinstance(header.get("kid"), str | None):
            raise invalid("its kid is not a string")
        kind = header.get("typ")
        if self._issuer.token_type == "at+jwt" and (  # noqa: S105 - a media type
            not isinstance(kind, str) or kind.lower().removeprefix("application/") != "at+jwt"
        ):
            raise invalid("its typ is not at+jwt")
        return algorithm

    def _check_claims(self, claims: dict[str, Any]) -> None:
        if claims.get("iss") != self._issuer.issuer:
            raise invalid("iss is another issuer's")
        subject, audience = claims.get("sub"), claims.get("aud")
        if not isinstance(subject, str) or not subject:
            raise invalid("sub is missing or not a string")
        audiences = audience if isinstance(audience, list) else [audience]
        if not all(isinstance(one, str) for one in audiences):
            raise invalid("aud is missing or not a string")
        if self._audience.isdisjoint(audiences):
            raise invalid("aud does not name this service")
        self._check_times(claims)

    def _check_times(self, claims: dict[str, Any]) -> None:
        now, leeway = self._clock(), self._issuer.leeway_seconds
        expires = _numeric_date(claims, "exp")
        not_before, issued = _numeric_date(claims, "nbf"), _numeric_date(claims, "iat")
        if expires is None:
            raise invalid("exp is missing")
        if now >= expires + leeway:
            raise invalid("it has expired")
        if not_before is not None and now < not_before - leeway:
            raise invalid("it is not valid yet")
        if issued is not None and now < issued - leeway:
            raise invalid("it was issued in the future")
        oldest = self._issuer.max_token_age_seconds
        if oldest is not None and (issued is None or now > issued + oldest + leeway):
            raise invalid("it is older than this issuer's tokens may be")


def _numeric_date(claims: dict[str, Any], name: str) -> float | None:
    value = claims.get(name)
    if name not in claims:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise invalid(f"{name} is not a number")
    return value


def _object(segment: str, what: str) -> dict[str, Any]:
    try:
        value = strict_json.loads(urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))
    except (binascii.Error, strict_json.InvalidJSONError):
        raise invalid(f"its {what} is not JSON") from None
    if not isinstance(value, dict):
        raise invalid(f"its {what} is not a JSON object")
    return value
