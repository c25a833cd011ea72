"""Verification of signed JSON Web Tokens (RFC 7519).

joserfc does the cryptography. What it is lenient about is checked here (RFC 8725).
"""

from collections.abc import Iterable

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwa import JWSAlgModel

from ..common.http_limits import MAX_HEAD_BYTES
from ..settings import IssuerSettings
from .findings import invalid
from .header_rules import header_rules
from .jwks import Jwks
from .models import Claims
from .public_keys import PublicKey
from .tenant_rules import is_key_of
from .token_rules import TokenRules
from .unverified_token import UnverifiedToken


class _Registry(jws.JWSRegistry):
    """The allowed algorithms, by the names that tokens use."""

    max_header_length = max_payload_length = max_signature_length = MAX_HEAD_BYTES

    def get_alg(self, name: str) -> JWSAlgModel:
        """Return the algorithm; RFC 8037's `EdDSA` is `Ed25519` in RFC 9864 for our only curve."""
        return super().get_alg("Ed25519" if name == "EdDSA" else name)


def signature_algorithms(names: Iterable[str]) -> jws.JWSRegistry:
    """Return joserfc's registry of these algorithms, by the names that tokens use."""
    return _Registry(algorithms=[*names, "Ed25519"], strict_check_header=False)


def verify_signature(
    token: UnverifiedToken, key: PublicKey, issuer: IssuerSettings, registry: jws.JWSRegistry
) -> None:
    """Do nothing if a key verifies the signature of a token.

    Args:
        token: the token.
        key: the key that its header selects.
        issuer: the settings of its issuer.
        registry: the allowed algorithms.

    Raises:
        UnauthenticatedError: the signature does not verify, or the key is that of another tenant.
    """
    try:
        jws.deserialize_compact(token.text, key.key, registry=registry)
    except (JoseError, ValueError):
        raise invalid("the signature does not verify") from None
    if not is_key_of(issuer, key.issuer, token.claims.get("iss")):
        raise invalid(f"the key is that of another tenant: {key.issuer!a}")


class JwtVerifier:
    """Verifies the tokens of one issuer.

    Attributes:
        header_rules: each rule for headers, in the order in which they are checked.
    """

    def __init__(self, issuer: IssuerSettings, jwks: Jwks, rules: TokenRules) -> None:
        self.header_rules = header_rules(issuer)
        self._issuer = issuer
        self._jwks = jwks
        self._rules = rules
        self._registry = signature_algorithms(issuer.algorithms)

    async def verify(self, token: UnverifiedToken) -> Claims:
        """Return the claims of a token after verifying its header, signature and claims.

        Raises:
            IdentityError: the token is not valid, or the issuer's keys are unavailable.
        """
        for rule in self.header_rules:
            rule.enforce(token.header)
        key = await self._jwks.key(token.header.get("kid"), token.header["alg"])
        verify_signature(token, key, self._issuer, self._registry)
        self._rules.check(token.claims)
        return token.claims
