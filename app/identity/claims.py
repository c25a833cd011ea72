"""Turns verified claims into a Caller."""

import re
from collections.abc import Collection, Mapping
from typing import Any, get_type_hints
from urllib.parse import quote

import structlog
from pydantic import TypeAdapter, ValidationError

from ..errors import MissingClaimError
from ..settings import IdentitySourceSettings, IssuerSettings
from ..vault import MAX_CONSUMER_ID_LENGTH, ConsumerMetadata
from .claim_paths import claim
from .findings import listing, present
from .models import Caller, Claims

# Valid in a header. No space, because proxies trim it, and two ids would become one.
_CONSUMER_ID = re.compile(rf"[\x21-\x7e]{{1,{MAX_CONSUMER_ID_LENGTH}}}")
_METADATA: Mapping[str, TypeAdapter[Any]] = {
    name: TypeAdapter(hint)
    for name, hint in get_type_hints(ConsumerMetadata, include_extras=True).items()
}
# UserInfo responses have standard claims for these, and none for the account.
_USERINFO_FIELDS = ("user_name", "email", "image")

logger = structlog.get_logger(__name__)


def user_of(
    name: str,
    source: IdentitySourceSettings,
    claims: Claims,
    more: Claims,
    reserved_prefixes: Collection[str] = (),
) -> Caller:
    """Return the person that verified claims describe.

    Args:
        name: the operator's name for the source.
        source: the settings of the source.
        claims: its claims about the person, verified.
        more: its further claims about the person, for display only.
        reserved_prefixes: what the consumer id must not begin with.

    Raises:
        MissingClaimError: a claim of the consumer id or the Unify app is missing or unusable.
            No other claim replaces it: a person without a tenant must not become their own.
    """
    return Caller(
        kind="user",
        issuer=name,
        subject=claims["sub"],
        consumer_id=_consumer_id(source, claims, reserved_prefixes),
        consumer_metadata=_metadata(name, source, claims, more),
        actor=claims["act"]["sub"] if "act" in claims else None,
        unify_app=_unify_app(source, claims),
    )


def service_of(name: str, issuer: IssuerSettings, claims: Claims) -> Caller:
    """Return the service that verified claims describe, with its grant.

    Raises:
        MissingClaimError: the claim of the Unify app is missing or unusable.
    """
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
    """Return whether a string can be a consumer id: 1 to 255 printable ASCII characters."""
    return _CONSUMER_ID.fullmatch(value) is not None


def _consumer_id(
    source: IdentitySourceSettings, claims: Claims, reserved_prefixes: Collection[str]
) -> str:
    paths = source.consumer_claims
    parts = [_identifier(claims, path) for path in paths]
    if len(parts) > 1:
        # Percent-encoded, so that ("a:b", "c") and ("a", "b:c") are two consumers.
        parts = [quote(part, safe="") for part in parts]
    consumer_id = source.consumer_prefix + ":".join(parts)
    if not usable_consumer_id(consumer_id):
        names = " with ".join(paths)
        raise _unusable(
            claims,
            f"Your account cannot be used here: {names} must be 1 to {MAX_CONSUMER_ID_LENGTH} "
            "printable ASCII characters without spaces.",
            reason=f"unusable claim {names}",
        )
    if consumer_id.startswith(tuple(reserved_prefixes)):
        # It would be a customer of another source.
        names = " with ".join(paths)
        raise _unusable(
            claims,
            f"Your account cannot be used here: its {names} begins with reserved characters.",
            reason=f"the claim {names} begins with the consumer_prefix of another source: "
            f"expected none of {listing(reserved_prefixes)}",
        )
    return consumer_id


def _unify_app(source: IdentitySourceSettings, claims: Claims) -> str:
    path = source.apideck.claim
    if path is None:
        return source.apideck.unify_app
    value = claim(claims, path)
    if isinstance(value, str) and value in source.apideck.allowed:
        return value
    raise _unusable(
        claims,
        f"Your account has no usable {path}, which selects where your connections are.",
        reason=f"the claim {path} names none of the allowed Unify apps: "
        f"expected {listing(source.apideck.allowed)}",
    )


def _identifier(claims: Claims, path: str) -> str:
    value = claim(claims, path)
    # Many applications number their tenants, so an integer stands for its digits.
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or not value:
        raise _unusable(
            claims,
            f"Your account has no {path}, which selects whose connections to open. "
            "Sign in with an account or organization that has it.",
            reason=f"missing claim {path}: {present(claims)}",
        )
    return value


def _unusable(claims: Claims, detail: str, *, reason: str) -> MissingClaimError:
    error = MissingClaimError(detail, reason=reason)
    error.subject = claims["sub"]
    return error


def _metadata(
    name: str, source: IdentitySourceSettings, claims: Claims, more: Claims
) -> ConsumerMetadata:
    """Return the display data about a consumer; unusable values are left out and logged."""
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
