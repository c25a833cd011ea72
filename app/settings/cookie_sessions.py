"""`IDENTITY__COOKIE_SESSIONS__…`: an application whose session cookie identifies people."""

from typing import Annotated

from pydantic import Field

from app.settings.credentials import CookieName, CredentialLocation, WebUrlSetting
from app.settings.identity_source import IdentitySourceSettings


class CookieSessionSettings(IdentitySourceSettings):
    """An application whose own session cookie identifies people.

    Only the application can read the cookie, so this service sends it to the application's
    "who am I" endpoint, and nothing else of the request.
    """

    cookie: CookieName
    """Name of the session cookie."""

    whoami_url: WebUrlSetting
    """The "who am I" endpoint. It responds to a GET request that has the cookie: 200 with a JSON
    object of claims, of which `sub` is required, or 401 or 403 if no one is signed in."""

    cache_seconds: Annotated[int, Field(ge=0, le=300)] = 10
    """Seconds for which a response is cached. A person who signs out can start sessions for that
    long."""

    @property
    def locations(self) -> tuple[CredentialLocation, ...]:
        """The session cookie."""
        return (CredentialLocation("cookie", self.cookie),)
