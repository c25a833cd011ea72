"""A development issuer: OpenID Connect Discovery, a JWK Set, and tokens for a few users."""

from emulators.issuer.issuer import DevelopmentIssuer

__all__ = ["DevelopmentIssuer"]
