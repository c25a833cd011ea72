"""`IDENTITY__…`: whose tokens are believed, and what their claims mean."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from app.settings.groups import Group
from app.urls import web_url

Algorithm = Literal[
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "EdDSA",
    "Ed25519",
]
"""Asymmetric ones only: with HMAC, whoever can verify can also sign (RFC 8725 section 3.1)."""


def listed(value: str | tuple[str, ...]) -> tuple[str, ...]:
    """Return a setting of one or more strings as a tuple; one string stands for a list of one."""
    return (value,) if isinstance(value, str) else value


NonEmpty = Annotated[str, StringConstraints(min_length=1)]
ClaimPath = Annotated[str, StringConstraints(min_length=1, max_length=256)]
"""A claim's name, or a JSON Pointer (RFC 6901) into the claims when it begins with a slash."""


class ClaimPaths(Group):
    """Which claim becomes what."""

    consumer_id: ClaimPath | Annotated[tuple[ClaimPath, ...], Field(min_length=1, max_length=4)] = (
        "sub"
    )
    """The claim that names the customer: your tenant's id. It is required of every token. Several
    claims are joined to one id, each percent-encoded, with a colon between them."""

    account_name: ClaimPath | None = None
    """Name of the customer's account."""

    user_name: ClaimPath | None = "name"
    """Name of the person."""

    email: ClaimPath | None = "email"
    """E-mail address of the person, for display; never a key."""

    image: ClaimPath | None = "picture"
    """URL of a picture."""


class IssuerSettings(Group):
    """One issuer of tokens, and what is asked of a token of its."""

    issuer: Annotated[str, AfterValidator(web_url)]
    """The `iss` of its tokens, exactly: a slash at the end counts."""

    audience: NonEmpty | Annotated[tuple[NonEmpty, ...], Field(min_length=1)]
    """The `aud` of tokens that are meant for this service; one of these must be in the token."""

    jwks_uri: Annotated[str, AfterValidator(web_url)] | None = None
    """Where its keys are. Without it they are found by OpenID Connect Discovery."""

    algorithms: tuple[Algorithm, ...] = Field(
        default=("RS256", "PS256", "ES256", "EdDSA", "Ed25519"), min_length=1
    )
    """Signature algorithms that its tokens may use."""

    token_type: Literal["at+jwt", "any"] = "at+jwt"  # noqa: S105 - a media type
    """`at+jwt` wants the header `typ` of an access token (RFC 9068). `any` is for issuers that do
    not set it; then the audience alone tells an access token from an ID token, so it must be one
    that ID tokens never have."""

    leeway_seconds: Annotated[int, Field(ge=0, le=300)] = 30
    """Seconds by which the issuer's clock and ours may differ."""

    max_token_age_seconds: Annotated[int, Field(ge=60, le=604_800)] | None = None
    """Seconds since `iat` after which a token is refused even if it has not expired."""

    consumer_prefix: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._:-]{0,32}$")] = ""
    """Put before the consumer id of its callers. With several issuers each needs one of its own,
    so that equal claims of two issuers never mean the same consumer."""

    claims: ClaimPaths = ClaimPaths()
    """Which claim becomes what."""


class IdentitySettings(Group):
    """Whose tokens are believed."""

    issuers: dict[str, IssuerSettings] = Field(min_length=1)
    """The issuers, each under a name of your own that logs and metrics use."""

    jwks_refresh_seconds: Annotated[int, Field(ge=30, le=86_400)] = 600
    """Age of an issuer's keys, in seconds, at which they are fetched anew in the background."""

    jwks_max_age_seconds: Annotated[int, Field(ge=60, le=604_800)] = 86_400
    """Age of an issuer's keys, in seconds, beyond which they are not used while the issuer does
    not answer."""

    jwks_cooldown_seconds: Annotated[int, Field(ge=1, le=600)] = 30
    """Seconds between two fetches that an unknown key id may cause."""

    fetch_timeout_seconds: Annotated[float, Field(gt=0, le=30)] = 5.0
    """Seconds that an issuer has to answer."""

    @model_validator(mode="after")
    def _one_meaning_for_each_consumer(self) -> Self:
        issuers = list(self.issuers.values())
        if len({issuer.issuer for issuer in issuers}) != len(issuers):
            raise ValueError("two issuers have the same issuer URL")
        prefixes = [issuer.consumer_prefix for issuer in issuers]
        if any(
            one.startswith(other)
            for i, one in enumerate(prefixes)
            for j, other in enumerate(prefixes)
            if i != j
        ):
            raise ValueError(
                "with several issuers each needs a consumer_prefix, and none may begin with another"
            )
        return self
