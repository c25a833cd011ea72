"""`IDENTITY__ISSUERS__<name>__INTROSPECTION__…`: this service as a client of an issuer."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, PrivateAttr, SecretStr, model_validator

from .claims import ClaimPath
from .credentials import ServiceUrl
from .groups import Group, Secret, printable, secret


def _read_client_secret(path: Path) -> SecretStr:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        raise ValueError("must be a file that can be read") from None
    return secret(SecretStr(text))


def _client_secret_file(path: Path) -> Path:
    _read_client_secret(path)
    return path


class IntrospectionSettings(Group):
    """Token introspection (RFC 7662): the issuer checks its tokens, opaque ones included."""

    _secret: SecretStr = PrivateAttr()

    endpoint: ServiceUrl | None = None
    """The introspection endpoint. By default it is found by OpenID Connect Discovery."""

    client_id: Annotated[str, AfterValidator(printable)]
    """The client id of this service at the issuer."""

    client_secret: Secret | None = None
    """The client secret of this service. Set this or `client_secret_file`, not both."""

    client_secret_file: Annotated[Path, AfterValidator(_client_secret_file)] | None = None
    """A file that contains only the client secret. It is read once, at the start."""

    authentication: Literal["client_secret_basic", "client_secret_post"] = "client_secret_basic"
    """How this service authenticates to the issuer (OpenID Connect Core section 9). With
    `client_secret_basic`, id and secret are form-encoded (RFC 6749 section 2.3.1). If an issuer
    does not decode them, use `client_secret_post`."""

    subject_claim: ClaimPath = "sub"
    """The claim of the response that identifies the caller, for issuers that send no `sub`. For
    services this can be `client_id`; then a response that also has `sub` or `username` describes a
    person, and is rejected, and the issuer needs `required_scope`, `required_role` or
    `required_claims`. For users, it must be a claim that people cannot change, and that is
    never given to another person."""

    allow_missing_audience: bool = False
    """Accept a response without the audience. It depends on the issuer alone then which of its
    clients' tokens this service accepts: every active token that the issuer lets it introspect."""

    cache_seconds: Annotated[int, Field(ge=0, le=300)] = 30
    """Seconds for which a response is cached, and never beyond the token's `exp` if it has one. A
    revoked token is accepted for that long."""

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
        """The client secret, wherever it is configured."""
        return self._secret
