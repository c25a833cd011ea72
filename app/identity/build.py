"""Puts identity together from its settings."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

from app.errors import ConfigurationError
from app.identity.authenticator import Authenticator
from app.identity.credentials import AUTHORIZATION, Place
from app.identity.discovery import Discovery
from app.identity.fetch import Fetcher
from app.identity.introspection import Introspector
from app.identity.jwks import Jwks
from app.identity.jwt import JwtVerifier
from app.identity.remembered import RememberedCallers
from app.identity.sources import ApplicationSource, Issuer, Source, TokenSource
from app.identity.token_rules import TokenRules
from app.identity.userinfo import UserInfo
from app.identity.whoami import WhoAmI
from app.observability.metrics import Metrics
from app.settings import CredentialSettings, IdentitySettings, IntrospectionSettings


@dataclass(frozen=True, slots=True)
class Identity:
    """Everything that identity is made of, as the lifespan needs it.

    Attributes:
        authenticator: establishes who is calling.
        jwks: the keys of each issuer whose tokens are verified here, by the issuer's name.
        keyless: whether there are callers who can be told without any of these keys, as by
            introspection or by an application.
    """

    authenticator: Authenticator
    jwks: Mapping[str, Jwks]
    keyless: bool


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

    Raises:
        ConfigurationError: when a file with a client secret cannot be read.
    """
    fetcher = Fetcher(http, settings.fetch_timeout_seconds, metrics)
    issuers = [build_issuer(name, settings, fetcher) for name in settings.issuers]
    by_place: dict[Place, list[Issuer]] = defaultdict(list)
    for issuer in issuers:
        by_place[_place(issuer.settings.credential)].append(issuer)
    sources: dict[Place, Source] = {
        place: TokenSource(together, RememberedCallers(settings.remembered_tokens))
        for place, together in by_place.items()
    }
    for name, application in settings.applications.items():
        place = Place("cookie", application.cookie)
        sources[place] = ApplicationSource(name, application, WhoAmI(application, fetcher))
    return Identity(
        Authenticator(sources, origins, settings.csrf_header),
        {issuer.name: issuer.jwks for issuer in issuers if issuer.introspector is None},
        bool(settings.applications) or any(issuer.introspector for issuer in issuers),
    )


def build_issuer(name: str, settings: IdentitySettings, fetcher: Fetcher) -> Issuer:
    """Build one issuer.

    Raises:
        ConfigurationError: when the file with its client secret cannot be read.
    """
    issuer = settings.issuers[name]
    discovery, rules = Discovery(issuer, fetcher), TokenRules(issuer)
    jwks = Jwks(name, issuer, settings, discovery, fetcher)
    introspector = None
    if issuer.introspection is not None:
        secret = client_secret(name, issuer.introspection)
        introspector = Introspector(issuer.introspection, secret, discovery, fetcher, rules)
    return Issuer(
        name,
        issuer,
        rules,
        jwks,
        JwtVerifier(issuer, jwks, rules),
        introspector,
        UserInfo(name, issuer, discovery, fetcher) if issuer.userinfo else None,
    )


def _place(credential: CredentialSettings) -> Place:
    if credential.cookie is not None:
        return Place("cookie", credential.cookie)
    return AUTHORIZATION if credential.header is None else Place("header", credential.header)


def client_secret(name: str, settings: IntrospectionSettings) -> str:
    """Return this service's own secret at an issuer.

    Raises:
        ConfigurationError: when the file that holds it cannot be read, or is empty.
    """
    if settings.client_secret is not None:
        return settings.client_secret.get_secret_value()
    try:
        secret = _text(settings.client_secret_file).strip()
    except (OSError, ValueError):
        secret = ""
    if not secret:
        setting = f"IDENTITY__ISSUERS__{name.upper()}__INTROSPECTION__CLIENT_SECRET_FILE"
        raise ConfigurationError([f"{setting}: cannot be read, or is empty"])
    return secret


def _text(path: Path | None) -> str:
    # The settings hold exactly one of secret and file, so there is one here.
    return "" if path is None else path.read_text(encoding="utf-8")
