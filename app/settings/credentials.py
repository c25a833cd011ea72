"""Settings of credentials: those that callers send, and this service's own at an issuer."""

import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    Field,
    PrivateAttr,
    SecretStr,
    StringConstraints,
    model_validator,
)

from app.common.urls import web_url
from app.settings.groups import Group

CookieName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$")]
WebUrlSetting = Annotated[str, AfterValidator(web_url)]

_RESERVED_HEADERS = frozenset({"authorization", "cookie", "content-type", "host", "origin"})
# RFC 6749 appendix A.1 and A.2: VSCHAR.
_CLIENT_CREDENTIAL = re.compile(r"[\x20-\x7e]{1,4096}")


def _client_credential(value: str) -> str:
    if _CLIENT_CREDENTIAL.fullmatch(value) is None:
        raise ValueError("must be printable ASCII characters, and not empty")
    return value


def _client_secret(value: SecretStr) -> SecretStr:
    # An environment variable that is made from a file often ends in a line feed.
    return SecretStr(_client_credential(value.get_secret_value().strip()))


def _read_client_secret(path: Path) -> SecretStr:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        raise ValueError("must be a file that can be read") from None
    return _client_secret(SecretStr(text))


def _client_secret_file(path: Path) -> Path:
    _read_client_secret(path)
    return path


class CredentialSettings(Group):
    """Where a token is looked for: in the Authorization header, unless one of these is given."""

    header: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]{1,64}$")] | None = None
    """A header that holds the token by itself, as a gateway sends its signed assertion."""

    cookie: CookieName | None = None
    """A cookie that holds the token. Its callers must then pass the checks against forgery."""

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if self.header is not None and self.cookie is not None:
            raise ValueError("takes one of header and cookie, not both")
        if self.header is not None and self.header.lower() in _RESERVED_HEADERS:
            raise ValueError("names a header that means something else")
        return self


class IntrospectionSettings(Group):
    """Token introspection (RFC 7662): the issuer checks its tokens, opaque ones included."""

    _secret: SecretStr = PrivateAttr()

    endpoint: WebUrlSetting | None = None
    """The introspection endpoint. Without it, it is found by OpenID Connect Discovery."""

    client_id: Annotated[str, AfterValidator(_client_credential)]
    """This service's own id at the issuer."""

    client_secret: Annotated[SecretStr, AfterValidator(_client_secret)] | None = None
    """This service's own secret. Set this or `client_secret_file`, not both."""

    client_secret_file: Annotated[Path, AfterValidator(_client_secret_file)] | None = None
    """A file that contains only the secret. It is read once, at the start."""

    authentication: Literal["client_secret_basic", "client_secret_post"] = "client_secret_basic"
    """How this service proves itself to the issuer (OpenID Connect Core section 9)."""

    cache_seconds: Annotated[int, Field(ge=0, le=300)] = 30
    """Seconds that an answer is believed, and never beyond the token's `exp`: a revoked token
    works for so much longer."""

    @model_validator(mode="after")
    def _one_secret(self) -> Self:
        if self.client_secret is not None and self.client_secret_file is None:
            self._secret = self.client_secret
        elif self.client_secret is None and self.client_secret_file is not None:
            self._secret = _read_client_secret(self.client_secret_file)
        else:
            raise ValueError("needs exactly one of client_secret and client_secret_file")
        return self

    @property
    def secret(self) -> SecretStr:
        """This service's own secret, wherever it is configured."""
        return self._secret
