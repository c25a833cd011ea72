"""Puts identity together from its settings."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import httpx

from app.identity.authenticator import Authenticator
from app.identity.credentials import AUTHORIZATION, CredentialLocation
from app.identity.discovery import Discovery
from app.identity.fetch import Fetcher
from app.identity.introspection import Introspector
from app.identity.jwks import Jwks
from app.identity.jwt import JwtVerifier
from app.identity.sources import CookieSessionSource, Issuer, Source, TokenSource
from app.identity.token_cache import VerifiedTokenCache
from app.identity.token_rules import TokenRules
from app.identity.userinfo import UserInfo
from app.identity.whoami import WhoAmI
from app.observability.metrics import Metrics
from app.settings import CredentialSettings, IdentitySettings


@dataclass(frozen=True, slots=True)
class Identity:
    """Everything that identity is made of, as the lifespan needs it.

    Attributes:
        authenticator: establishes who is calling.
        jwks: the keys of each issuer whose tokens are verified here, by the issuer's name.
        ready_without_jwks: whether some callers can be authenticated without any of these keys, by
            introspection or by a cookie session.
    """

    authenticator: Authenticator
    jwks: Mapping[str, Jwks]
    ready_without_jwks: bool


def build_identity(
    settings: IdentitySettings,
    origins: tuple[str, ...],
    http: httpx.AsyncClient,
    metrics: Metrics,
) -> Identity:
    """Build identity; nothing is asked of anybody yet.

    Args:
        settings: who is believed.
        origins: the exact origins of pages that may send a cookie along.
        http: a client that follows no redirects and keeps no cookies.
        metrics: is told of every request that is made.
    """
    fetcher = Fetcher(http, settings.fetch_timeout_seconds, metrics)
    issuers = [build_issuer(name, settings, fetcher) for name in settings.issuers]
    by_place: dict[CredentialLocation, list[Issuer]] = defaultdict(list)
    for issuer in issuers:
        by_place[_place(issuer.settings.credential)].append(issuer)
    sources: dict[CredentialLocation, Source] = {
        place: TokenSource(together, VerifiedTokenCache(settings.remembered_tokens))
        for place, together in by_place.items()
    }
    for name, session in settings.cookie_sessions.items():
        place = CredentialLocation("cookie", session.cookie)
        sources[place] = CookieSessionSource(name, session, WhoAmI(session, fetcher))
    return Identity(
        Authenticator(sources, origins, settings.csrf_header),
        {issuer.name: issuer.jwks for issuer in issuers if issuer.introspector is None},
        bool(settings.cookie_sessions) or any(issuer.introspector for issuer in issuers),
    )


def build_issuer(name: str, settings: IdentitySettings, fetcher: Fetcher) -> Issuer:
    """Build one issuer."""
    issuer = settings.issuers[name]
    discovery, rules = Discovery(issuer, fetcher), TokenRules(issuer)
    jwks = Jwks(name, issuer, settings, discovery, fetcher)
    introspector = None
    if issuer.introspection is not None:
        introspector = Introspector(issuer.introspection, discovery, fetcher, rules)
    return Issuer(
        name,
        issuer,
        rules,
        jwks,
        JwtVerifier(issuer, jwks, rules),
        introspector,
        UserInfo(name, issuer, discovery, fetcher) if issuer.userinfo else None,
    )


def _place(credential: CredentialSettings) -> CredentialLocation:
    if credential.cookie is not None:
        return CredentialLocation("cookie", credential.cookie)
    return (
        AUTHORIZATION
        if credential.header is None
        else CredentialLocation("header", credential.header)
    )
