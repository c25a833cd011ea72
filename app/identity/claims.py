"""Verified claims become a Caller: which consumer, and what people may read about it."""

import re
from collections.abc import Mapping
from typing import Any, get_type_hints
from urllib.parse import quote

import structlog
from jsonpointer import JsonPointer
from pydantic import TypeAdapter, ValidationError

from app.errors import MissingClaimError
from app.identity.models import Caller, Claims
from app.settings import IssuerSettings
from app.settings.identity import listed
from app.vault import ConsumerMetadata

MAX_CONSUMER_ID_LENGTH = 255

# What can stand in a header as it is. No space: proxies trim them, and two ids would become one.
_CONSUMER_ID = re.compile(rf"[\x21-\x7e]{{1,{MAX_CONSUMER_ID_LENGTH}}}")
_METADATA: Mapping[str, TypeAdapter[Any]] = {
    name: TypeAdapter(hint)
    for name, hint in get_type_hints(ConsumerMetadata, include_extras=True).items()
}

logger = structlog.get_logger(__name__)


def user_of(name: str, issuer: IssuerSettings, claims: Claims) -> Caller:
    """Return the person whom an issuer's verified claims describe.

    Raises:
        MissingClaimError: when a claim that makes up the consumer id is missing or unusable. There
            is no weaker one to fall back to: a person without a tenant must not get their own.
    """
    return Caller(
        kind="user",
        issuer=name,
        subject=claims["sub"],
        consumer_id=_consumer_id(issuer, claims),
        consumer_metadata=_metadata(name, issuer, claims),
    )


def usable_consumer_id(value: str) -> bool:
    """Tell whether a string can be sent as a consumer id: 1 to 255 printable ASCII, no space."""
    return _CONSUMER_ID.fullmatch(value) is not None


def _consumer_id(issuer: IssuerSettings, claims: Claims) -> str:
    paths = listed(issuer.claims.consumer_id)
    parts = [_identifier(path, _claim(claims, path)) for path in paths]
    if len(parts) > 1:
        # Percent-encoded, so that ("a:b", "c") and ("a", "b:c") stay two consumers.
        parts = [quote(part, safe="") for part in parts]
    consumer_id = issuer.consumer_prefix + ":".join(parts)
    if not usable_consumer_id(consumer_id):
        raise MissingClaimError(
            f"The claim {' with '.join(paths)} cannot be a consumer id: it must be 1 to "
            f"{MAX_CONSUMER_ID_LENGTH} printable ASCII characters without spaces.",
            reason=f"unusable claim {' with '.join(paths)}",
        )
    return consumer_id


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


def _metadata(name: str, issuer: IssuerSettings, claims: Claims) -> ConsumerMetadata:
    """Return what can be shown of the consumer; what cannot is left out, never refused."""
    metadata = ConsumerMetadata()
    for field, adapter in _METADATA.items():
        path = getattr(issuer.claims, field)
        value = None if path is None else _claim(claims, path)
        if value is None or value == "":
            continue
        try:
            metadata[field] = adapter.validate_python(value, strict=True)  # type: ignore[literal-required]
        except ValidationError:
            logger.info("claim_left_out", issuer=name, claim=path, field=field)
    return metadata


def _claim(claims: Claims, path: str) -> Any:
    return JsonPointer(path).resolve(claims, None) if path.startswith("/") else claims.get(path)
