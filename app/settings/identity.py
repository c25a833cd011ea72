"""`IDENTITY__…`: the sources of callers, and what they have in common."""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Annotated, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from .ambiguity import check_consumer_spaces, check_issuers
from .cookie_sessions import CookieSessionSettings
from .credentials import CredentialLocation
from .groups import Group
from .identity_source import ConfiguredSource, IdentitySourceSettings, S
from .issuers import IssuerSettings

# Headers that browsers send by themselves, or that any page may set without a preflight (Fetch
# Standard, "forbidden request-header" and "CORS-safelisted request-header").
_SENT_BY_EVERY_PAGE = re.compile(
    r"accept.*|access-control-.*|authorization|connection|content-.*|cookie2?|date|dnt|downlink"
    r"|dpr|expect|host|keep-alive|origin|proxy-.*|range|referer|rtt|save-data|sec-.*|te|trailer"
    r"|transfer-encoding|upgrade.*|user-agent|via|viewport-width|width"
)


def _csrf_header(value: str) -> str:
    if _SENT_BY_EVERY_PAGE.fullmatch(value):
        raise ValueError("must be a header that browsers do not send by themselves")
    return value


class IdentitySettings(Group):
    """The sources of callers, at least one: issuers and cookie sessions, by names of your own."""

    issuers: dict[str, IssuerSettings] = Field(default_factory=dict)
    """Issuers of tokens."""

    cookie_sessions: dict[str, CookieSessionSettings] = Field(default_factory=dict)
    """Applications whose session cookies identify people."""

    csrf_header: Annotated[
        str, StringConstraints(pattern=r"^[a-z0-9-]{1,64}$"), AfterValidator(_csrf_header)
    ] = "x-vault-session"
    """The header that a request with a cookie must have, with any value. A page of another origin
    cannot add it without a preflight."""

    jwks_refresh_seconds: Annotated[int, Field(ge=30, le=86_400)] = 600
    """Age of an issuer's keys, in seconds, at which they are fetched again in the background."""

    jwks_max_age_seconds: Annotated[int, Field(ge=60, le=604_800)] = 86_400
    """Age of an issuer's keys, in seconds, up to which they are used while the issuer does not
    respond."""

    jwks_cooldown_seconds: Annotated[int, Field(ge=1, le=600)] = 30
    """Seconds between two fetches that unknown key ids can cause."""

    remembered_tokens: Annotated[int, Field(ge=0, le=1_000_000)] = 10_000
    """Verified tokens that are cached for each credential location. A cached token is not verified
    again until it expires or its key is withdrawn. 0 turns the cache off."""

    fetch_timeout_seconds: Annotated[float, Field(gt=0, le=30)] = 5.0
    """Seconds within which an issuer or an application must respond."""

    def sources(self) -> Iterator[ConfiguredSource[IdentitySourceSettings]]:
        """Yield every configured source, whatever its kind."""
        for field in type(self).model_fields:
            group = getattr(self, field)
            for name, settings in group.items() if isinstance(group, dict) else ():
                if isinstance(settings, IdentitySourceSettings):
                    setting = f"IDENTITY__{field.upper()}__{name.upper()}"
                    yield ConfiguredSource(setting, name, settings)

    def reserved_prefixes(self, settings: IdentitySourceSettings) -> tuple[str, ...]:
        """Return what the consumer ids of a source must not begin with.

        These are the prefixes of other consumer spaces. Only a source without a prefix has any.
        """
        others = (one.settings for one in self.sources() if one.settings.identifies_users)
        return tuple(
            one.consumer_prefix
            for one in others
            if one.consumer_prefix != settings.consumer_prefix
            and one.consumer_prefix.startswith(settings.consumer_prefix)
        )

    def sources_of(self, kind: type[S]) -> Iterator[ConfiguredSource[S]]:
        """Yield every configured source of one kind."""
        for source in self.sources():
            if isinstance(source.settings, kind):
                yield ConfiguredSource(
                    source.setting,
                    source.name,
                    source.settings,
                    source.name,
                    self.reserved_prefixes(source.settings),
                )

    def locations(self) -> tuple[CredentialLocation, ...]:
        """Return every location of credentials, each once."""
        every = (location for one in self.sources() for location in one.settings.locations)
        return tuple(dict.fromkeys(every))

    @property
    def uses_cookies(self) -> bool:
        """Whether any credential is in a cookie."""
        return any(location.in_cookies for location in self.locations())

    @model_validator(mode="after")
    def _has_sources(self) -> Self:
        names = Counter(source.name for source in self.sources())
        if not names:
            raise ValueError("needs at least one source of callers, such as issuers.<name>")
        if names.most_common(1)[0][1] > 1:
            raise ValueError("two sources of callers have the same name")
        return self

    @model_validator(mode="after")
    def _one_meaning_for_each_credential(self) -> Self:
        check_issuers(tuple(self.sources_of(IssuerSettings)))
        for location in self.locations():
            here = [
                one.settings
                for one in self.sources()
                if any(location.overlaps(other) for other in one.settings.locations)
            ]
            if len(here) > 1 and not all(one.shares_locations for one in here):
                raise ValueError("two sources use the same cookie")
            if sum(one.accepts_opaque_credentials for one in here) > 1:
                raise ValueError("two issuers introspect tokens from the same location")
        return self

    @model_validator(mode="after")
    def _one_meaning_for_each_consumer(self) -> Self:
        check_consumer_spaces(tuple(self.sources()))
        return self
