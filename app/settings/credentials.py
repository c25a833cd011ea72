"""Where callers put their credentials: headers and cookies."""

from dataclasses import dataclass
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, StringConstraints, model_validator

from app.common.urls import web_url
from app.settings.groups import Group

CookieName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$")]
WebUrlSetting = Annotated[str, AfterValidator(web_url)]

_RESERVED_HEADERS = frozenset({"authorization", "cookie", "content-type", "host", "origin"})


@dataclass(frozen=True, slots=True)
class CredentialLocation:
    """A header or a cookie that may hold a credential.

    Attributes:
        kind: the `Authorization` header with a bearer token, another header, or a cookie.
        name: the name of that header or cookie; empty for `Authorization`.
    """

    kind: Literal["authorization", "header", "cookie"]
    name: str = ""


AUTHORIZATION = CredentialLocation("authorization")


class CredentialSettings(Group):
    """Where callers put their tokens: in the Authorization header, unless one of these is set."""

    header: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]{1,64}$")] | None = None
    """A header that holds only the token, such as the signed assertion of a gateway."""

    cookie: CookieName | None = None
    """A cookie that holds the token. Its callers must pass the checks against request forgery."""

    @model_validator(mode="after")
    def _one_location(self) -> Self:
        if self.header is not None and self.cookie is not None:
            raise ValueError("takes one of header and cookie, not both")
        if self.header is not None and self.header.lower() in _RESERVED_HEADERS:
            raise ValueError("names a header that has another meaning")
        return self

    @property
    def location(self) -> CredentialLocation:
        """The configured location."""
        if self.cookie is not None:
            return CredentialLocation("cookie", self.cookie)
        if self.header is not None:
            return CredentialLocation("header", self.header.lower())
        return AUTHORIZATION
