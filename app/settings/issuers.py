"""`IDENTITY__ISSUERS__…`: one issuer of tokens, and the requirements for its tokens."""

import re
from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from ..vault import MAX_CONSUMER_ID_LENGTH
from .claims import ClaimPath, ClaimValue, listed
from .credentials import CredentialLocation, CredentialSettings, ServiceUrl
from .groups import NonEmpty
from .identity_source import IdentitySourceSettings
from .introspection import IntrospectionSettings
from .issuer_urls import IssuerTemplate, IssuerUrls, KeyUrls, Tenant, check_issuer_urls

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
"""Asymmetric ones only: with HMAC, every verifier can also sign (RFC 8725 section 3.1)."""


_OF_CLIENTS = frozenset({"client_id", "azp", "aud", "iss"})
"""Claims that are equal for all people who use an application."""

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


class IssuerSettings(IdentitySourceSettings):
    """One issuer of tokens, and the requirements for its tokens."""

    issuer: IssuerUrls
    """The `iss` of its tokens, exactly: a slash at the end counts. It can be any string if
    `jwks_uri` is set, because it is only compared then. A list stands for several issuer URLs of
    one directory, each with its own keys. With `{tenantid}` as a segment it stands for an issuer
    for each tenant; see `tenants`."""

    tenants: tuple[Tenant, ...] = ()
    """The tenants whose tokens are accepted, if `issuer` contains `{tenantid}`. All tenants share
    the keys at `jwks_uri`, which has to be set."""

    any_tenant: bool = False
    """Accept the tokens of every tenant instead. Anyone who can get a tenant at the provider, and a
    token with your audience in it, is a customer then."""

    tenant_claim: ClaimPath = "tid"
    """The claim that holds the tenant. It must be equal to the tenant in `iss`, and identifies the
    customer unless `claims.consumer_id` is set, which must contain it, too."""

    audience: NonEmpty | Annotated[tuple[NonEmpty, ...], Field(min_length=1)]
    """The `aud` of tokens for this service; a token must contain one of these."""

    audience_claim: ClaimPath = "aud"
    """The claim that holds the audience, for issuers that use another one."""

    kind: Literal["users", "services"] = "users"
    """Whose tokens these are. Users start sessions for themselves, services for the consumers in
    their grant."""

    credential: CredentialSettings = CredentialSettings()
    """Where callers put these tokens."""

    jwks_uri: KeyUrls | None = None
    """URL of its JWK Set. By default it is found by OpenID Connect Discovery. A list has one for
    each URL in `issuer`, in the same order."""

    introspection: IntrospectionSettings | None = None
    """Have the issuer check each token, instead of verifying its signature here."""

    userinfo: bool = False
    """Request the name, e-mail address or picture that a token lacks from the UserInfo endpoint."""

    userinfo_endpoint: ServiceUrl | None = None
    """The UserInfo endpoint. By default it is found by OpenID Connect Discovery."""

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
    """Seconds by which the clocks of the issuer and this service may differ."""

    max_token_age_seconds: Annotated[int, Field(ge=60, le=604_800)] | None = None
    """Seconds since `iat` after which a token is rejected even if it has not expired."""

    required_scope: Scope | None = None
    """One scope that a token must have in `scope` or `scp`, which hold a list or a space-separated
    string."""

    required_role: NonEmpty | None = None
    """One role that a token must have in the claim that `role_claim` names."""

    role_claim: ClaimPath = "roles"
    """The claim that holds the roles of a token: a list, or a string that is one role."""

    grants: dict[NonEmpty, tuple[Grant, ...]] = Field(default_factory=dict)
    """The consumers for which a service may start sessions, by the `sub` of the service: consumer
    ids, prefixes such as `eu-*`, or `*` for all. Services only, which need at least one."""

    @model_validator(mode="after")
    def _has_usable_urls(self) -> Self:
        check_issuer_urls(self)
        return self

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Self:
        if self.kind == "services" and not self.grants:
            raise ValueError("an issuer of services needs grants")
        if self.kind == "services" and self.userinfo:
            raise ValueError("services have no UserInfo")
        subject = "sub" if self.introspection is None else self.introspection.subject_claim
        if subject.removeprefix("/") in _OF_CLIENTS:
            self._check_clients()
        if self.userinfo and subject != "sub":
            raise ValueError("userinfo needs introspection.subject_claim to be sub")
        if self.kind == "users" and self.grants:
            raise ValueError("grants are for services; users start sessions for themselves")
        return self

    def _check_clients(self) -> None:
        """Check an issuer whose tokens are identified by their client.

        The attack: some token of that client that names no person, but was not issued for this
        service. The service's own tokens need a mark that others lack.
        """
        if self.kind == "users":
            raise ValueError("introspection.subject_claim names a claim of clients, not of users")
        if not (self.required_scope or self.required_role or self.required_claims):
            raise ValueError(
                "introspection.subject_claim names a claim that all tokens of a client "
                "have, so required_scope, required_role or required_claims is needed, too"
            )

    @property
    def iss(self) -> str:
        """The `iss` of its tokens, or the template for it; the settings have been split by URL."""
        assert isinstance(self.issuer, str)  # noqa: S101 - types
        return self.issuer

    @property
    def keys_url(self) -> str | None:
        """The URL of its JWK Set, if it is set; the settings have been split by URL."""
        assert self.jwks_uri is None or isinstance(self.jwks_uri, str)  # noqa: S101 - types
        return self.jwks_uri

    def by_url(self) -> tuple["IssuerSettings", ...]:
        """Return the settings of each issuer URL."""
        issuers = listed(self.issuer)
        keys = listed(self.jwks_uri or ()) or (None,) * len(issuers)
        return tuple(
            self.model_copy(update={"issuer": issuer, "jwks_uri": uri})
            for issuer, uri in zip(issuers, keys, strict=True)
        )

    @property
    def template(self) -> IssuerTemplate | None:
        """The template for the `iss` of its tokens; None if it has no tenants."""
        return IssuerTemplate.of(self.issuer) if isinstance(self.issuer, str) else None

    @property
    def consumer_claims(self) -> tuple[str, ...]:
        """The claims that identify the customer: the tenant, if the issuer has tenants."""
        if self.template is not None and "consumer_id" not in self.claims.model_fields_set:
            return (self.tenant_claim,)
        return super().consumer_claims

    @property
    def locations(self) -> tuple[CredentialLocation, ...]:
        """The configured locations of its tokens."""
        return self.credential.locations

    @property
    def identifies_users(self) -> bool:
        """Whether these are the tokens of people."""
        return self.kind == "users"

    @property
    def accepts_opaque_credentials(self) -> bool:
        """Whether tokens need no form, because the issuer checks them."""
        return self.introspection is not None

    @property
    def shares_locations(self) -> bool:
        """Signed tokens name their issuer, so several issuers can share a location."""
        return True

    def secrets(self) -> Iterator[str]:
        """Yield the client secret for introspection."""
        if self.introspection is not None:
            yield self.introspection.secret.get_secret_value()
