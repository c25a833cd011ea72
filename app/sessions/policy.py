"""The session policy: (caller, request, settings) → the session to create. A pure function.

The attack: an authenticated caller requests what belongs to another one, such as another customer's
consumer ID, a redirect to their own site, or a session that lasts longer than the operator allows.
A field that the caller may not set is rejected by its name. If it were dropped silently, both the
attack and the mistake would go unnoticed.
"""

from typing import Any, Final, cast

import orjson

from ..errors import FieldError, FieldNotPermittedError, InvalidRequestError
from ..identity.consumers import consumer_of
from ..identity.models import Caller
from ..settings import SessionSettings
from ..vault import (
    KNOWN_UNIFIED_APIS,
    MAX_CUSTOM_SETTINGS_BYTES,
    ConsumerMetadata,
    Session,
    Theme,
    VaultSettings,
    session_minutes,
)
from .models import SessionPlan, SessionRequest
from .redirects import redirect_target

APIDECK_DEFAULT_LENGTH: Final = "1h"

_NOT_FORWARDED = frozenset({"return_to", "redirect_uri", "connection", "consumer_id"})
_PARTS = ("settings", "theme")


def plan_session(caller: Caller, request: SessionRequest, settings: SessionSettings) -> SessionPlan:
    """Decide which session a caller gets.

    Raises:
        FieldNotPermittedError: naming each field that this caller may not set.
        ConsumerNotGrantedError: a service names a consumer outside its grant.
        InvalidRequestError: naming each field that contradicts the rest.
        RedirectNotAllowedError: the redirect target is not registered.
    """
    _check_fields(caller, request, settings)
    target, redirect_uri = redirect_target(request, settings)
    consumer_id = consumer_of(caller, request.get("consumer_id"), "/consumer_id")
    session = Session()
    if metadata := _metadata(caller, request):
        session["consumer_metadata"] = metadata
    if redirect_uri is not None:
        session["redirect_uri"] = redirect_uri
    if vault_settings := _vault_settings(request, settings, has_target=redirect_uri is not None):
        session["settings"] = vault_settings
    if theme := cast("Theme", {**settings.defaults.theme, **request.get("theme", {})}):
        session["theme"] = theme
    if custom := _custom_settings(request, settings):
        session["custom_consumer_settings"] = custom
    return SessionPlan(
        consumer_id, session, request.get("connection"), _caller_fields(request), target
    )


def _metadata(caller: Caller, request: SessionRequest) -> ConsumerMetadata:
    """Return the metadata of the consumer: a user's own, or what a service supplies."""
    if caller.consumer_id is not None:
        return caller.consumer_metadata
    return request.get("consumer_metadata", ConsumerMetadata())


def _check_fields(caller: Caller, request: SessionRequest, settings: SessionSettings) -> None:
    permitted = settings.users_may_set if caller.kind == "user" else settings.services_may_set
    rejected = [
        FieldError(f"/{field.replace('.', '/')}", "You may not set this field.")
        for field in _fields(request)
        if field not in permitted and field.partition(".")[0] not in permitted
        if not (field == "consumer_id" and caller.kind == "service")
    ]
    if rejected:
        raise FieldNotPermittedError(
            "The request contains fields that you may not set.", errors=rejected
        )
    _check_unified_apis(request, settings)


def _fields(request: SessionRequest) -> list[str]:
    """Return the dotted names of the fields that a request sets; `settings: {}` sets none."""
    parts = {part: cast("dict[str, Any]", request.get(part, {})) for part in _PARTS}
    return [field for field in request if field not in _PARTS] + [
        f"{part}.{key}" for part, keys in parts.items() for key in keys
    ]


def _check_unified_apis(request: SessionRequest, settings: SessionSettings) -> None:
    """Allow the operator's unified APIs, or all known ones if the operator configured none."""
    configured = settings.defaults.settings.get("unified_apis", [])
    allowed = frozenset(configured) or KNOWN_UNIFIED_APIS
    requested = request.get("settings", {}).get("unified_apis")
    rejected = [
        FieldError(f"/settings/unified_apis/{i}", "This unified API is not available.")
        for i, unified_api in enumerate(requested or [])
        if unified_api not in allowed
    ]
    if requested == [] and configured:
        # To Apideck an empty list means all unified APIs.
        rejected = [FieldError("/settings/unified_apis", "Name at least one unified API.")]
    connection = request.get("connection")
    if connection is not None and connection["unified_api"] not in allowed:
        rejected.append(FieldError("/connection/unified_api", "This unified API is not available."))
    if rejected:
        raise FieldNotPermittedError(
            "The request names unified APIs that are not available.", errors=rejected
        )


def _vault_settings(
    request: SessionRequest, settings: SessionSettings, *, has_target: bool
) -> VaultSettings:
    own = request.get("settings", {})
    merged = cast("VaultSettings", {**settings.defaults.settings, **own})
    if merged.get("auto_redirect") and not has_target:
        if "auto_redirect" in own:
            raise InvalidRequestError(
                "The request enables auto_redirect without a redirect target.",
                errors=[FieldError("/settings/auto_redirect", "Requires a redirect target.")],
            )
        del merged["auto_redirect"]
    return _limited(merged, own, settings)


def _limited(merged: VaultSettings, own: VaultSettings, settings: SessionSettings) -> VaultSettings:
    """Limit the length of the session to the operator's maximum, also if no length was set."""
    longest = session_minutes(settings.max_session_length)
    if session_minutes(merged.get("session_length", APIDECK_DEFAULT_LENGTH)) <= longest:
        return merged
    if "session_length" in own:
        raise FieldNotPermittedError(
            "The session would be longer than allowed.",
            errors=[
                FieldError(
                    "/settings/session_length", f"Must be at most {settings.max_session_length}."
                )
            ],
        )
    return cast("VaultSettings", {**merged, "session_length": settings.max_session_length})


def _custom_settings(request: SessionRequest, settings: SessionSettings) -> dict[str, Any]:
    merged = {
        **settings.defaults.custom_consumer_settings,
        **request.get("custom_consumer_settings", {}),
    }
    if len(orjson.dumps(merged)) > MAX_CUSTOM_SETTINGS_BYTES:
        raise InvalidRequestError(
            "The custom consumer settings are too large.",
            errors=[
                FieldError(
                    "/custom_consumer_settings",
                    f"Must be at most {MAX_CUSTOM_SETTINGS_BYTES} bytes of JSON, including the "
                    "operator's defaults.",
                )
            ],
        )
    return merged


def _caller_fields(request: SessionRequest) -> frozenset[str]:
    """Return the fields that the caller can correct if Apideck rejects them.

    A redirect URI is not one of them: the string that is sent is always the operator's.
    """
    forwarded = [field for field in _fields(request) if field not in _NOT_FORWARDED]
    return frozenset(f"/{field.replace('.', '/')}" for field in forwarded)
