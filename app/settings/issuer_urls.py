"""What the `iss` of an issuer may be: a URL, any string, or a template with a tenant in it."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import AfterValidator, StringConstraints, ValidationError
from pydantic_core import InitErrorDetails

from ..common.urls import PlainHttpUrl, service_url
from .claims import listed

if TYPE_CHECKING:
    from .issuers import IssuerSettings

PLACEHOLDER = "{tenantid}"

_MAX_URLS = 16

_TENANT = r"[A-Za-z0-9._-]{1,128}"
_TEMPLATE = re.compile(r"(https://[^{}?#]+/)\{tenantid\}(|/[^{}?#]*)")
_ISSUER = re.compile(r"[\x21-\x7e]{1,2048}")

Tenant = Annotated[str, StringConstraints(pattern=f"^{_TENANT}$")]


def _issuer(value: str) -> str:
    if value.startswith("insecure+"):
        return service_url(value)
    if _ISSUER.fullmatch(value) is None:
        raise ValueError("must be 1 to 2048 printable ASCII characters without spaces")
    return value


def _each(check: Callable[[str], str]) -> Callable[[str | tuple[str, ...]], str | tuple[str, ...]]:
    def checked(value: str | tuple[str, ...]) -> str | tuple[str, ...]:
        if isinstance(value, str):
            return check(value)
        if not 1 <= len(value) <= _MAX_URLS:
            raise ValueError(f"must be one URL, or a list of up to {_MAX_URLS}")
        return tuple(map(check, value))

    return checked


IssuerUrls = Annotated[str | tuple[str, ...], AfterValidator(_each(_issuer))]
"""The `iss` of an issuer. Where it is requested, and not only compared, it has to be a URL."""

KeyUrls = Annotated[str | tuple[str, ...], AfterValidator(_each(service_url))]
"""The URL of a JWK Set, or one for each issuer URL."""


@dataclass(frozen=True, slots=True)
class IssuerTemplate:
    """The `iss` of an issuer with tenants.

    Attributes:
        before: what is before the tenant.
        after: what is after the tenant.
    """

    before: str
    after: str

    @classmethod
    def of(cls, issuer: str) -> Self | None:
        """Return the template in a setting; None if there is none."""
        match = _TEMPLATE.fullmatch(issuer)
        return None if match is None else cls(match[1], match[2])

    def tenant_in(self, iss: object) -> str | None:
        """Return the tenant in an `iss`; None if it is not one of this template."""
        if not isinstance(iss, str) or not iss.startswith(self.before):
            return None
        tenant = iss.removeprefix(self.before)
        if not tenant.endswith(self.after):
            return None
        tenant = tenant.removesuffix(self.after)
        return tenant if re.fullmatch(_TENANT, tenant) else None


def overlap(one: str, other: str) -> bool:
    """Return whether some `iss` is one of both settings, each of which may be a template.

    Which tenants are accepted does not count: the template alone selects the issuer of a token.
    """
    segments = one.split("/"), other.split("/")
    return len(segments[0]) == len(segments[1]) and all(
        a == b or (PLACEHOLDER in (a, b) and _may_be_tenant(a) and _may_be_tenant(b))
        for a, b in zip(*segments, strict=True)
    )


def _may_be_tenant(segment: str) -> bool:
    return segment == PLACEHOLDER or re.fullmatch(_TENANT, segment) is not None


def check_issuer_urls(settings: "IssuerSettings") -> None:
    """Check that the issuer URLs of an entry fit its other settings.

    Raises:
        ValidationError: it names the setting, says what is wrong, and does not quote the value.
    """
    issuers, keys = listed(settings.issuer), listed(settings.jwks_uri or ())
    if len(set(issuers)) < len(issuers):
        raise _fault("issuer", "must not contain a URL twice")
    if keys and len(keys) != len(issuers):
        raise _fault("jwks_uri", "must have one URL for each URL in issuer")
    if len(issuers) > 1 and settings.introspection is not None:
        raise _fault("introspection", "is for one issuer URL; use an entry for each")
    if len(issuers) > 1 and settings.userinfo_endpoint is not None:
        raise _fault("userinfo_endpoint", "is for one issuer URL; use an entry for each")
    if any("{" in one or "}" in one for one in issuers):
        _check_template(settings)
    elif settings.tenants or settings.any_tenant:
        setting = "tenants" if settings.tenants else "any_tenant"
        raise _fault(setting, f"needs {PLACEHOLDER} in issuer")
    elif _needs_metadata(settings):
        for one in issuers:
            _check_requestable(one)


def _check_template(settings: "IssuerSettings") -> None:
    if not isinstance(settings.issuer, str) or settings.template is None:
        raise _fault(
            "issuer", f"must be one https URL in which {PLACEHOLDER} is a segment of the path"
        )
    if bool(settings.tenants) == settings.any_tenant:
        raise _fault(
            "tenants",
            f"must list the tenants whose tokens are accepted, because issuer has {PLACEHOLDER}; "
            "any_tenant = true accepts every tenant instead",
        )
    if settings.kind == "services":
        raise _fault("issuer", f"must not have {PLACEHOLDER} for services: grants have no tenant")
    if settings.introspection is not None:
        raise _fault("introspection", f"is not possible for an issuer with {PLACEHOLDER}")
    if _needs_metadata(settings):
        setting = "jwks_uri" if settings.jwks_uri is None else "userinfo_endpoint"
        raise _fault(setting, f"is required for an issuer with {PLACEHOLDER}")
    # Two tenants can use the same value in every other claim.
    if settings.tenant_claim not in settings.consumer_claims:
        raise _fault("claims", f"consumer_id must contain {settings.tenant_claim}, the tenant")


def _needs_metadata(settings: "IssuerSettings") -> bool:
    if settings.introspection is None:
        configured: object = settings.jwks_uri
    else:
        configured = settings.introspection.endpoint
    return configured is None or (settings.userinfo and settings.userinfo_endpoint is None)


def _check_requestable(issuer: str) -> None:
    if isinstance(issuer, PlainHttpUrl):
        return
    try:
        service_url(issuer)
    except ValueError as error:
        raise _fault(
            "issuer", f"{error}; with jwks_uri it can be any string, because it is only compared"
        ) from None


def _fault(setting: str, message: str) -> ValidationError:
    """Return the error for one setting of the entry."""
    details = InitErrorDetails(
        type="value_error", loc=(setting,), input=None, ctx={"error": ValueError(message)}
    )
    return ValidationError.from_exception_data("IssuerSettings", [details], hide_input=True)
