"""`IDENTITY__ISSUERS__…`: one issuer of tokens, and what is asked of a token of its."""

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from app.settings.claims import ClaimPath, ClaimPaths, ClaimValue, UnifyAppChoice
from app.settings.credentials import CredentialSettings, IntrospectionSettings, WebUrlSetting
from app.settings.groups import Group, NonEmpty
from app.vault import MAX_CONSUMER_ID_LENGTH

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


# An asterisk stands for the rest of an id, so it can only be the last character.
_GRANT = re.compile(rf"[\x21-\x29\x2b-\x7e]{{0,{MAX_CONSUMER_ID_LENGTH - 1}}}[\x21-\x7e]")


def _one_scope(value: str) -> str:
    # RFC 6749 section 3.3: a token with `a b` has two scopes, so it can never have this one.
    if not value or " " in value:
        raise ValueError("must be one scope, without spaces")
    return value


def _grant(value: str) -> str:
    # Other patterns match no consumer id, or match by surprise.
    if _GRANT.fullmatch(value) is None:
        raise ValueError(
            "must be a consumer id (printable ASCII without spaces), the beginning of one with an "
            "asterisk at its end, or an asterisk alone"
        )
    return value


Scope = Annotated[str, AfterValidator(_one_scope)]
Grant = Annotated[str, AfterValidator(_grant)]
ConsumerPrefix = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._:-]{0,32}$")]


class IssuerSettings(Group):
    """One issuer of tokens, and what is asked of a token of its."""

    issuer: WebUrlSetting
    """The `iss` of its tokens, exactly: a slash at the end counts."""

    audience: NonEmpty | Annotated[tuple[NonEmpty, ...], Field(min_length=1)]
    """The `aud` of tokens that are meant for this service; one of these must be in the token."""

    audience_claim: ClaimPath = "aud"
    """The claim that holds the audience, for issuers that put it elsewhere."""

    kind: Literal["users", "services"] = "users"
    """Whose tokens these are: people's, who mint for themselves, or services', which mint for
    others within their grant."""

    credential: CredentialSettings = CredentialSettings()
    """Where its tokens are looked for."""

    jwks_uri: WebUrlSetting | None = None
    """Where its keys are. Without it they are found by OpenID Connect Discovery."""

    introspection: IntrospectionSettings | None = None
    """Ask the issuer about each token instead of verifying it here."""

    userinfo: bool = False
    """Ask the issuer's UserInfo endpoint for a name, e-mail or picture that a token lacks."""

    userinfo_endpoint: WebUrlSetting | None = None
    """The UserInfo endpoint. Without it, it is found by OpenID Connect Discovery."""

    algorithms: tuple[Algorithm, ...] = Field(
        default=("RS256", "PS256", "ES256", "EdDSA", "Ed25519"), min_length=1
    )
    """Signature algorithms that its tokens may use."""

    token_type: Literal["at+jwt", "any"] = "at+jwt"  # noqa: S105 - a media type
    """`at+jwt` requires the header `typ` of an access token (RFC 9068). `any` is for issuers that
    do not set it. Then a token with a claim of ID tokens (`nonce`, `at_hash`, `c_hash`, `s_hash`)
    is rejected unless its payload has `typ: Bearer`. Not every ID token has such a claim, so use
    an audience that ID tokens never have."""

    required_claims: dict[ClaimPath, ClaimValue] = Field(default_factory=dict)
    """Claims that a token must have with exactly this value: a string, a whole number or a boolean.
    Other tokens are rejected."""

    forbidden_claims: tuple[ClaimPath, ...] = ()
    """Claims that a token must not have, with any value. Tokens that have one are rejected."""

    leeway_seconds: Annotated[int, Field(ge=0, le=300)] = 30
    """Seconds by which the issuer's clock and ours may differ."""

    max_token_age_seconds: Annotated[int, Field(ge=60, le=604_800)] | None = None
    """Seconds since `iat` after which a token is refused even if it has not expired."""

    consumer_prefix: ConsumerPrefix = ""
    """Put before the consumer id of its users. With several sources of users each needs one of
    its own, so that equal claims of two of them never mean the same consumer."""

    claims: ClaimPaths = ClaimPaths()
    """Which claim becomes what. Of users only."""

    apideck: UnifyAppChoice = UnifyAppChoice()
    """Which of your Unify apps its callers' sessions are made with."""

    required_scope: Scope | None = None
    """One scope that a token must have in `scope` or `scp`, which hold a list or a space-separated
    string."""

    required_role: NonEmpty | None = None
    """One role that a token must have in the claim that `role_claim` names."""

    role_claim: ClaimPath = "roles"
    """The claim that holds the roles of a token: a list, or a string that is one role."""

    grants: dict[NonEmpty, tuple[Grant, ...]] = Field(default_factory=dict)
    """For which consumers a service may mint, by the service's `sub`: exact consumer ids, prefixes
    as `eu-*`, or `*` for all. Of services only, and required of them."""

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Self:
        if self.kind == "services" and not self.grants:
            raise ValueError("an issuer of services needs grants")
        if self.kind == "services" and self.userinfo:
            raise ValueError("services have no UserInfo")
        if self.kind == "users" and self.grants:
            raise ValueError("grants are for services; users mint for themselves")
        return self
