"""Finds the credential of a request. Nothing in it is verified here."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

from ..common.http_limits import MAX_HEAD_BYTES
from ..errors import (
    AmbiguousCredentialsError,
    CredentialTooLargeError,
    UnauthenticatedError,
)
from ..settings.credentials import AUTHORIZATION, CredentialLocation
from .unverified_token import UnverifiedToken, parse

Headers = Iterable[tuple[bytes, bytes]]
"""The headers of a request as ASGI provides them: names in lower case, repeated names kept."""

# What a credential may look like at each kind of location.
_PATTERNS = {
    # RFC 6750 section 2.1: the scheme, one or more spaces, and a b64token; schemes ignore case.
    "authorization": re.compile(rb"(?i:bearer) +(?P<value>[A-Za-z0-9._~+/-]+=*)"),
    "header": re.compile(rb"(?P<value>[A-Za-z0-9._~+/=-]+)"),
    # RFC 6265 section 4.1.1: cookie-octets. Some frameworks quote values with `=` or `/`.
    "cookie": re.compile(
        rb'(?P<quote>"?)(?P<value>[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]+)(?P=quote)'
    ),
    # Frameworks put more into cookies than that section allows, such as JSON; browsers send it.
    "session": re.compile(rb"(?P<value>[\x20-\x7e]+)"),
}


@dataclass
class Credential:
    """A credential and its location.

    Attributes:
        location: where it was in the request.
        value: the token; of a session, the names and values of its cookies, as a Cookie header has
            them.
    """

    location: CredentialLocation
    value: str = field(repr=False)

    @cached_property
    def signed_token(self) -> UnverifiedToken | None:
        """The credential as a parsed token; None if it is not a compact JWS.

        It is parsed once, and only for sources of tokens: a session cookie may look like a token.

        Raises:
            UnauthenticatedError: it has the form of a token, but its parts are not JSON objects.
        """
        return parse(self.value)


class CredentialFinder:
    """Finds the one credential of a request."""

    def __init__(self, locations: Iterable[CredentialLocation]) -> None:
        every = dict.fromkeys(locations)
        self._headers = {one.name.encode(): one for one in every if one.kind == "header"}
        self._in_cookies = [one for one in every if one.in_cookies]

    def find(self, headers: Headers) -> Credential:
        """Return the credential of a request.

        Raises:
            UnauthenticatedError: there is none, or it is malformed.
            AmbiguousCredentialsError: there are several, even if they are equal. Proxies and
                applications have disagreed about which one counts.
        """
        found = list(self._candidates(headers))
        if len(found) > 1:
            raise AmbiguousCredentialsError(
                "More than one sign-in was sent. Please sign out, then sign in again."
            )
        if not found:
            raise UnauthenticatedError(
                "You are not signed in.", reason="no credential", presented=False
            )
        [(location, value)] = found
        return Credential(location, _text(location, value))

    def _candidates(self, headers: Headers) -> Iterator[tuple[CredentialLocation, bytes]]:
        cookies: list[bytes] = []
        for name, value in headers:
            if name == b"authorization":
                yield AUTHORIZATION, value
            elif name in self._headers:
                yield self._headers[name], value
            elif name == b"cookie" and self._in_cookies:
                cookies += value.split(b";")
        if cookies:
            yield from self._in(cookies)

    def _in(self, cookies: Iterable[bytes]) -> Iterator[tuple[CredentialLocation, bytes]]:
        """Yield the credentials among cookies.

        The cookies of one session are one credential, in the order of the request. A second cookie
        of the same name is a second credential.
        """
        sessions: dict[CredentialLocation, dict[bytes, bytes]] = {}
        for cookie in cookies:
            name, _, value = cookie.strip().partition(b"=")
            location = self._location_of(name)
            if location is None:
                continue
            session = sessions.setdefault(location, {})
            if location.kind == "cookie" or name in session:
                yield location, value
            else:
                session[name] = value
        for location, session in sessions.items():
            if session:
                present = b"; ".join(b"%b=%b" % pair for pair in session.items())
                yield location, present if any(session.values()) else b""

    def _location_of(self, cookie: bytes) -> CredentialLocation | None:
        name = cookie.decode("latin-1")
        return next((one for one in self._in_cookies if one.has_cookie(name)), None)


def _text(location: CredentialLocation, value: bytes) -> str:
    value = value.strip()
    if len(value) > MAX_HEAD_BYTES:
        # This service's own server limits the whole head to as much; other servers may not.
        raise CredentialTooLargeError(
            f"The sign-in data sent with the request is too large: it has {len(value)} bytes, and "
            f"at most {MAX_HEAD_BYTES} are allowed.",
            reason=f"credential too large: received {len(value)} bytes, expected at most "
            f"{MAX_HEAD_BYTES}",
        )
    match = _PATTERNS[location.kind].fullmatch(value)
    if match is None:
        raise UnauthenticatedError(
            "Your sign-in could not be read. Please sign in again.", reason=_malformed(location)
        )
    return match["value"].decode("ascii")


def _malformed(location: CredentialLocation) -> str:
    if location.kind == "authorization":
        return "the Authorization header is not Bearer"
    if location.kind == "session":
        return f"malformed value in cookie {', '.join(location.cookies)}"
    return f"malformed value in {location.kind} {location.name}"
