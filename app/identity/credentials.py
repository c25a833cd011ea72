"""Which credential a request carries; it is looked for, not yet believed."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from app.errors import AmbiguousCredentialsError, UnauthenticatedError

Headers = Iterable[tuple[bytes, bytes]]
"""A request's headers as ASGI gives them: names in lower case, repeats kept."""

MAX_CREDENTIAL_LENGTH = 8192
"""Characters of a credential that is looked at at all."""

# RFC 6750 section 2.1: the scheme, one or more spaces, and a b64token; schemes ignore case.
_BEARER = re.compile(rb"(?i:bearer) +([A-Za-z0-9._~+/-]+=*)")
# RFC 6265 section 4.1.1: a cookie-octet.
_COOKIE_VALUE = re.compile(rb"[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]+")
_TOKEN = re.compile(rb"[A-Za-z0-9._~+/=-]+")


@dataclass(frozen=True, slots=True)
class CredentialLocation:
    """Where a credential can stand: a named header, a named cookie, or Authorization."""

    kind: Literal["authorization", "header", "cookie"]
    name: str = ""


AUTHORIZATION = CredentialLocation("authorization")


@dataclass(frozen=True, slots=True)
class Credential:
    """A credential, as it was found."""

    place: CredentialLocation
    value: str = field(repr=False)


class CredentialFinder:
    """Finds the one credential of a request."""

    def __init__(self, places: Iterable[CredentialLocation]) -> None:
        places = set(places)
        self._headers = {p.name.lower().encode(): p for p in places if p.kind == "header"}
        self._cookies = {p.name.encode(): p for p in places if p.kind == "cookie"}

    def find(self, headers: Headers) -> Credential:
        """Return the request's credential.

        Raises:
            UnauthenticatedError: when there is none, or it is not of the form of one.
            AmbiguousCredentialsError: when there are two, even if they are equal: which of them
                counts is what proxies and applications have been confused about.
        """
        found = list(self._candidates(headers))
        if len(found) > 1:
            raise AmbiguousCredentialsError("The request carries more than one credential.")
        if not found:
            raise UnauthenticatedError(
                "Send a credential: sign in first, or send an access token in the Authorization "
                "header as 'Bearer <token>'.",
                reason="no credential",
                presented=False,
            )
        [(place, value)] = found
        return Credential(place, _text(place, value))

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


def _text(place: CredentialLocation, value: bytes) -> str:
    value = value.strip()
    if len(value) > MAX_CREDENTIAL_LENGTH:
        raise UnauthenticatedError("The credential is too long.", reason="credential too long")
    if place.kind == "authorization":
        match = _BEARER.fullmatch(value)
        if match is None:
            raise UnauthenticatedError(
                "The Authorization header must be 'Bearer <token>'.", reason="not a bearer token"
            )
        return match[1].decode("ascii")
    form = _COOKIE_VALUE if place.kind == "cookie" else _TOKEN
    if form.fullmatch(value) is None:
        raise UnauthenticatedError(
            "The credential is malformed.", reason=f"malformed value in {place.kind} {place.name}"
        )
    return value.decode("ascii")
