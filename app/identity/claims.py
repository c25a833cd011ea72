"""Verified claims become a Caller: which consumer, and what people may read about it."""

import re
from collections.abc import Mapping
from typing import Any, get_type_hints
from urllib.parse import quote

import structlog
from pydantic import TypeAdapter, ValidationError

from app.errors import MissingClaimError
from app.identity.claim_paths import claim
from app.identity.models import Caller, Claims
from app.settings import CookieSessionSettings, IssuerSettings
from app.settings.claims import listed
from app.vault import MAX_CONSUMER_ID_LENGTH, ConsumerMetadata

# What can stand in a header as it is. No space: proxies trim them, and two ids would become one.
_CONSUMER_ID = re.compile(rf"[\x21-\x7e]{{1,{MAX_CONSUMER_ID_LENGTH}}}")
_METADATA: Mapping[str, TypeAdapter[Any]] = {
    name: TypeAdapter(hint)
    for name, hint in get_type_hints(ConsumerMetadata, include_extras=True).items()
}
# What an issuer's UserInfo endpoint is asked for; it knows no names of accounts.
_USERINFO_FIELDS = ("user_name", "email", "image")

logger = structlog.get_logger(__name__)


def user_of(
    name: str, source: IssuerSettings | CookieSessionSettings, claims: Claims, more: Claims
) -> Caller:
    """Return the person whom verified claims describe.

    Args:
        name: the operator's name for the issuer or application.
        source: the settings of that issuer or application.
        claims: what it says of the person, verified.
        more: what else it says of them, for display only.

    Raises:
        MissingClaimError: when a claim that makes up the consumer id is missing or unusable. There
            is no weaker one to fall back to: a person without a tenant must not get their own.
    """
    return Caller(
        kind="user",
        issuer=name,
        subject=claims["sub"],
        consumer_id=_consumer_id(source, claims),
        consumer_metadata=_metadata(name, source, claims, more),
        actor=claims["act"]["sub"] if "act" in claims else None,
        unify_app=_unify_app(source, claims),
    )


def service_of(name: str, issuer: IssuerSettings, claims: Claims) -> Caller:
    """Return the service whom verified claims describe, with what it was granted."""
    subject = claims["sub"]
    return Caller(
        kind="service",
        issuer=name,
        subject=subject,
        consumer_id=None,
        unify_app=_unify_app(issuer, claims),
        grant=issuer.grants.get(subject, ()),
    )


def lacks_display_data(issuer: IssuerSettings, claims: Claims) -> bool:
    """Return whether a configured name, e-mail address or picture is missing or unusable."""
    paths = {field: getattr(issuer.claims, field) for field in _USERINFO_FIELDS}
    return any(
        path is not None and not _is_usable(field, claim(claims, path))
        for field, path in paths.items()
    )


def usable_consumer_id(value: str) -> bool:
    """Tell whether a string can be sent as a consumer id: 1 to 255 printable ASCII, no space."""
    return _CONSUMER_ID.fullmatch(value) is not None


def _consumer_id(source: IssuerSettings | CookieSessionSettings, claims: Claims) -> str:
    paths = listed(source.claims.consumer_id)
    parts = [_identifier(path, claim(claims, path)) for path in paths]
    if len(parts) > 1:
        # Percent-encoded, so that ("a:b", "c") and ("a", "b:c") stay two consumers.
        parts = [quote(part, safe="") for part in parts]
    consumer_id = source.consumer_prefix + ":".join(parts)
    if not usable_consumer_id(consumer_id):
        raise MissingClaimError(
            f"The claim {' with '.join(paths)} cannot be a consumer id: it must be 1 to "
            f"{MAX_CONSUMER_ID_LENGTH} printable ASCII characters without spaces.",
            reason=f"unusable claim {' with '.join(paths)}",
        )
    return consumer_id


def _unify_app(source: IssuerSettings | CookieSessionSettings, claims: Claims) -> str:
    path = source.apideck.claim
    if path is None:
        return source.apideck.unify_app
    value = claim(claims, path)
    if isinstance(value, str) and value in source.apideck.allowed:
        return value
    raise MissingClaimError(
        f"Your sign-in has no usable claim {path}, which says where your connections are kept.",
        reason=f"the claim {path} names none of the allowed Unify apps",
    )


def _identifier(path: str, value: Any) -> str:
    # Many applications number their tenants, so a whole number stands for its digits.
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or not value:
        raise MissingClaimError(
            f"Your sign-in lacks the claim {path}, which says whose connections to open. "
            "Sign in to an account or organisation that has it.",
            reason=f"missing claim {path}",
        )
    return value


def _metadata(
    name: str, source: IssuerSettings | CookieSessionSettings, claims: Claims, more: Claims
) -> ConsumerMetadata:
    """Return what Apideck may show of the consumer; unusable values are left out and logged."""
    metadata = ConsumerMetadata()
    for field in _METADATA:
        path = getattr(source.claims, field)
        if path is None:
            continue
        for value in (claim(claims, path), claim(more, path)):
            if _is_usable(field, value):
                metadata[field] = value  # type: ignore[literal-required]
                break
            if value is not None and value != "":
                logger.info("claim_left_out", issuer=name, claim=path, field=field)
    return metadata


def _is_usable(field: str, value: Any) -> bool:
    try:
        _METADATA[field].validate_python(value, strict=True)
    except ValidationError:
        return False
    return True
