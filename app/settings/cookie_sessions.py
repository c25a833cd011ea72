"""`IDENTITY__COOKIE_SESSIONS__…`: an application whose session cookie identifies people."""

from typing import Annotated

from pydantic import Field

from .claims import listed
from .credentials import CookieName, CredentialLocation, ServiceUrl
from .identity_source import IdentitySourceSettings


class CookieSessionSettings(IdentitySourceSettings):
    """An application whose own session cookie identifies people.

    Only the application can read the cookie, so this service sends it unchanged to the
    application's "who am I" endpoint, and nothing else of the request.
    """

    cookie: CookieName | Annotated[tuple[CookieName, ...], Field(min_length=1, max_length=16)]
    """Name of the session cookie, or a list of the cookies that are one session together. A name
    with an asterisk at its end, such as `.AspNetCore.Cookies*`, stands for a session that is split
    into numbered cookies: `.AspNetCore.Cookies`, `.AspNetCore.CookiesC1` and so on, or `name.0`,
    `name_0` or `name-0`."""

    whoami_url: ServiceUrl
    """The "who am I" endpoint. It responds to a GET request that has the cookie: 200 with a JSON
    object of claims, of which `sub` is required, or 401 or 403 if no one is signed in."""

    cache_seconds: Annotated[int, Field(ge=0, le=300)] = 10
    """Seconds for which a response is cached. A person who signs out can start sessions for that
    long."""

    @property
    def locations(self) -> tuple[CredentialLocation, ...]:
        """The cookies of a session."""
        return (CredentialLocation("session", cookies=listed(self.cookie)),)
