"""`IDENTITY__…`: who is believed, and what their claims mean."""

import re
from collections.abc import Iterator
from typing import Annotated, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from app.settings.claims import ClaimPaths, UnifyAppChoice, listed
from app.settings.credentials import CookieName, WebUrlSetting
from app.settings.groups import Group
from app.settings.issuers import ConsumerPrefix, IssuerSettings

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


class CookieSessionSettings(Group):
    """An application whose own session cookie says who somebody is.

    The cookie means nothing to this service, so the application is asked: its "who am I" URL is
    called with that cookie and nothing else.
    """

    cookie: CookieName
    """Name of the application's session cookie."""

    whoami_url: WebUrlSetting
    """Answers a GET that carries the cookie: 200 with the person's claims as a JSON object, of
    which `sub` is required, or 401 or 403 when nobody is signed in."""

    cache_seconds: Annotated[int, Field(ge=0, le=300)] = 10
    """Seconds that an answer is believed: a person who signs out can mint for so much longer."""

    consumer_prefix: ConsumerPrefix = ""
    """Put before the consumer id of its people; see the same setting of an issuer."""

    claims: ClaimPaths = ClaimPaths()
    """Which claim becomes what."""

    apideck: UnifyAppChoice = UnifyAppChoice()
    """Which of your Unify apps its people's sessions are made with."""


class IdentitySettings(Group):
    """Who is believed: issuers of tokens, and applications with sessions of their own."""

    issuers: dict[str, IssuerSettings] = Field(default_factory=dict)
    """The issuers, each under a name of your own that logs and metrics use."""

    cookie_sessions: dict[str, CookieSessionSettings] = Field(default_factory=dict)
    """The applications whose session cookies are believed, each under a name of your own."""

    csrf_header: Annotated[
        str, StringConstraints(pattern=r"^[a-z0-9-]{1,64}$"), AfterValidator(_csrf_header)
    ] = "x-vault-session"
    """The header that a request with a cookie must have, with any value. A page of another origin
    cannot add it without a preflight."""

    jwks_refresh_seconds: Annotated[int, Field(ge=30, le=86_400)] = 600
    """Age of an issuer's keys, in seconds, at which they are fetched anew in the background."""

    jwks_max_age_seconds: Annotated[int, Field(ge=60, le=604_800)] = 86_400
    """Age of an issuer's keys, in seconds, beyond which they are not used while the issuer does
    not answer."""

    jwks_cooldown_seconds: Annotated[int, Field(ge=1, le=600)] = 30
    """Seconds between two fetches that an unknown key id may cause."""

    remembered_tokens: Annotated[int, Field(ge=0, le=1_000_000)] = 10_000
    """Verified tokens whose callers are remembered, for each place that tokens come in: until one
    expires or its key is withdrawn, it is not verified again. 0 remembers none."""

    fetch_timeout_seconds: Annotated[float, Field(gt=0, le=30)] = 5.0
    """Seconds that an issuer or an application has to answer."""

    @property
    def uses_cookies(self) -> bool:
        """Tell whether any caller may come with a cookie."""
        cookies = [issuer.credential.cookie for issuer in self.issuers.values()]
        return bool(self.cookie_sessions) or any(cookies)

    @model_validator(mode="after")
    def _somebody(self) -> Self:
        if not self.issuers and not self.cookie_sessions:
            raise ValueError("needs at least one of issuers and cookie_sessions")
        return self

    @model_validator(mode="after")
    def _one_meaning_for_each_token(self) -> Self:
        seen: set[tuple[str, str]] = set()
        for issuer in self.issuers.values():
            pairs = {(issuer.issuer, audience) for audience in listed(issuer.audience)}
            if seen & pairs:
                raise ValueError("two issuers have the same issuer URL and audience")
            seen |= pairs
        places = [i.credential for i in self.issuers.values() if i.introspection is not None]
        if len(set(places)) != len(places):
            raise ValueError("two issuers introspect tokens from the same place")
        cookies = [session.cookie for session in self.cookie_sessions.values()]
        cookies += {i.credential.cookie for i in self.issuers.values() if i.credential.cookie}
        if len(set(cookies)) != len(cookies):
            raise ValueError("two issuers or cookie_sessions use the same cookie")
        return self

    @model_validator(mode="after")
    def _one_meaning_for_each_consumer(self) -> Self:
        prefixes = list(self._user_prefixes())
        if any(
            one.startswith(other)
            for i, one in enumerate(prefixes)
            for j, other in enumerate(prefixes)
            if i != j
        ):
            raise ValueError(
                "with several sources of users each needs a consumer_prefix, and none may begin "
                "with another"
            )
        return self

    def _user_prefixes(self) -> Iterator[str]:
        for issuer in self.issuers.values():
            if issuer.kind == "users":
                yield issuer.consumer_prefix
        for session in self.cookie_sessions.values():
            yield session.consumer_prefix
