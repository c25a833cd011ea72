"""Finds the credential of a request. Nothing in it is verified here."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from app.errors import AmbiguousCredentialsError, UnauthenticatedError
from app.identity.unverified_token import UnverifiedToken, parse
from app.settings.credentials import AUTHORIZATION, CredentialLocation

Headers = Iterable[tuple[bytes, bytes]]
"""The headers of a request as ASGI provides them: names in lower case, repeated names kept."""

MAX_CREDENTIAL_LENGTH = 8192
"""Characters in a credential; longer ones are rejected before they are parsed."""

# RFC 6750 section 2.1: the scheme, one or more spaces, and a b64token; schemes ignore case.
_BEARER = re.compile(rb"(?i:bearer) +([A-Za-z0-9._~+/-]+=*)")
# RFC 6265 section 4.1.1: a cookie-octet.
_COOKIE_VALUE = re.compile(rb"[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]+")
_TOKEN = re.compile(rb"[A-Za-z0-9._~+/=-]+")
_UNPARSED: Final = object()


@dataclass(slots=True)
class Credential:
    """A credential and its location."""

    location: CredentialLocation
    value: str = field(repr=False)
    _token: object = field(default=_UNPARSED, init=False, repr=False, compare=False)

    def signed_token(self) -> UnverifiedToken | None:
        """Return the credential as a parsed token; None if it is not a compact JWS.

        It is parsed once, and only for sources of tokens: a session cookie may look like a token.

        Raises:
            UnauthenticatedError: it has the form of a token, but its parts are not JSON objects.
        """
        if self._token is _UNPARSED:
            self._token = parse(self.value)
        assert self._token is None or isinstance(self._token, UnverifiedToken)  # noqa: S101 - types
        return self._token


class CredentialFinder:
    """Finds the one credential of a request."""

    def __init__(self, locations: Iterable[CredentialLocation]) -> None:
        every = set(locations)
        self._headers = {one.name.encode(): one for one in every if one.kind == "header"}
        self._cookies = {one.name.encode(): one for one in every if one.kind == "cookie"}

    def find(self, headers: Headers) -> Credential:
        """Return the credential of a request.

        Raises:
            UnauthenticatedError: there is none, or it is malformed.
            AmbiguousCredentialsError: there are several, even if they are equal. Proxies and
                applications have disagreed about which one counts.
        """
        found = list(self._candidates(headers))
        if len(found) > 1:
            raise AmbiguousCredentialsError("The request contains more than one credential.")
        if not found:
            raise UnauthenticatedError(
                "You are not signed in.", reason="no credential", presented=False
            )
        [(location, value)] = found
        return Credential(location, _text(location, value))

    def _candidates(self, headers: Headers) -> Iterator[tuple[CredentialLocation, bytes]]:
        for name, value in headers:
            if name == b"authorization":
                yield AUTHORIZATION, value
            elif name in self._headers:
                yield self._headers[name], value
            elif name == b"cookie" and self._cookies:
                for pair in value.split(b";"):
                    cookie, _, content = pair.strip().partition(b"=")
                    if cookie in self._cookies:
                        yield self._cookies[cookie], content


def _text(location: CredentialLocation, value: bytes) -> str:
    value = value.strip()
    if len(value) > MAX_CREDENTIAL_LENGTH:
        raise UnauthenticatedError("The credential is too long.", reason="credential too long")
    if location.kind == "authorization":
        match = _BEARER.fullmatch(value)
        if match is None:
            raise UnauthenticatedError(
                "The credential is malformed.", reason="the Authorization header is not Bearer"
            )
        return match[1].decode("ascii")
    form = _COOKIE_VALUE if location.kind == "cookie" else _TOKEN
    if form.fullmatch(value) is None:
        raise UnauthenticatedError(
            "The credential is malformed.",
            reason=f"malformed value in {location.kind} {location.name}",
        )
    return value.decode("ascii")
