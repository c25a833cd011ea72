"""Where callers put their credentials: headers and cookies."""

import re
from dataclasses import dataclass
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, StringConstraints, model_validator

from ..common.urls import service_url
from .groups import Group

CookieName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$")]
ServiceUrl = Annotated[str, AfterValidator(service_url)]
"""The URL of a service that this one sends requests to."""

_RESERVED_HEADERS = frozenset({"authorization", "cookie", "content-type", "host", "origin"})


# ASP.NET Core numbers them `C1`, `C2`, NextAuth and Supabase `.0`, `.1`, and oauth2-proxy `_0`.
_CHUNK = re.compile(r"(.+)[.C_-](?:0|[1-9][0-9]?)")


@dataclass(frozen=True, slots=True)
class CredentialLocation:
    """A header or a cookie that may hold a credential, or the cookies that hold one together.

    Attributes:
        kind: the `Authorization` header with a bearer token, another header, a cookie with a token,
            or the cookies of an application's session.
        name: the name of that header or cookie; empty for the others.
        cookies: the names of a session's cookies. A name that ends with an asterisk stands for the
            name without it, and for numbered cookies that begin with it, such as `nameC1` and
            `name.0`.
    """

    kind: Literal["authorization", "header", "cookie", "session"]
    name: str = ""
    cookies: tuple[str, ...] = ()

    @property
    def in_cookies(self) -> bool:
        """Whether browsers send the credential by themselves."""
        return self.kind in {"cookie", "session"}

    @property
    def cookie_names(self) -> tuple[str, ...]:
        """The names of its cookies, without the asterisks; none if it is in no cookie."""
        if self.kind == "cookie":
            return (self.name,)
        return tuple(one.removesuffix("*") for one in self.cookies)

    def has_cookie(self, name: str) -> bool:
        """Return whether a cookie is part of the credential."""
        if self.kind == "cookie":
            return name == self.name
        if f"{name}*" in self.cookies or (name in self.cookies and not name.endswith("*")):
            return True
        chunk = _CHUNK.fullmatch(name)
        return chunk is not None and f"{chunk[1]}*" in self.cookies

    def overlaps(self, other: "CredentialLocation") -> bool:
        """Return whether one header or cookie may belong to both locations."""
        # Numbered cookies are common to both only if the name before the number is, too.
        return (
            self == other
            or any(map(self.has_cookie, other.cookie_names))
            or any(map(other.has_cookie, self.cookie_names))
        )


AUTHORIZATION = CredentialLocation("authorization")


class CredentialSettings(Group):
    """Where callers put their tokens: in the Authorization header, unless one of these is set.

    Several can be set. A request may still have one credential only.
    """

    bearer: bool | None = None
    """Whether tokens may be in the Authorization header. By default they may, unless `header` or
    `cookie` is set."""

    header: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]{1,64}$")] | None = None
    """A header that holds only the token, such as the signed assertion of a gateway."""

    cookie: CookieName | None = None
    """A cookie that holds the token. Its callers must pass the checks against request forgery."""

    @model_validator(mode="after")
    def _has_locations(self) -> Self:
        if not self.locations:
            raise ValueError("needs header or cookie if bearer is false")
        if self.header is not None and self.header.lower() in _RESERVED_HEADERS:
            raise ValueError("names a header that has another meaning")
        return self

    @property
    def locations(self) -> tuple[CredentialLocation, ...]:
        """The configured locations."""
        other = []
        if self.header is not None:
            other.append(CredentialLocation("header", self.header.lower()))
        if self.cookie is not None:
            other.append(CredentialLocation("cookie", self.cookie))
        bearer = self.bearer if self.bearer is not None else not other
        return (AUTHORIZATION, *other) if bearer else tuple(other)
