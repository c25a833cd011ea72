"""Verification of signed JSON Web Tokens (RFC 7519).

joserfc does the cryptography, over the token as it was parsed here: its own parser would parse the
header again, and is lenient about what RFC 8725 asks to check.
"""

from collections.abc import Iterable

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwa import JWSAlgModel

from ..settings import IssuerSettings
from .findings import invalid
from .public_keys import PublicKey
from .tenant_rules import is_key_of
from .unverified_token import UnverifiedToken


def signature_algorithms(names: Iterable[str]) -> dict[str, JWSAlgModel]:
    """Return joserfc's algorithms by the names that tokens use."""
    registry = jws.JWSRegistry(algorithms=[*names, "Ed25519"])
    # RFC 8037's `EdDSA` is `Ed25519` in RFC 9864 for our only curve.
    return {name: registry.get_alg("Ed25519" if name == "EdDSA" else name) for name in names}


def verify_signature(
    token: UnverifiedToken, key: PublicKey, issuer: IssuerSettings, algorithm: JWSAlgModel
) -> None:
    """Do nothing if a key verifies the signature of a token.

    Args:
        token: the token.
        key: the key that its header selects.
        issuer: the settings of its issuer.
        algorithm: the algorithm in its header, which these settings allow.

    Raises:
        UnauthenticatedError: the signature does not verify, or the key is that of another tenant.
    """
    try:
        algorithm.check_key(key.key)
        verified = algorithm.verify(token.signing_input, token.signature, key.key)
    except (JoseError, ValueError):
        verified = False
    if not verified:
        raise invalid("the signature does not verify")
    if not is_key_of(issuer, key.issuer, token.claims.get("iss")):
        raise invalid(f"the key is that of another tenant: {key.issuer!a}")
