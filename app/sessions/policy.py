"""The session policy: (caller, request, settings) → what to ask Apideck for. Pure.

The attack it stands against: a caller who is somebody, and asks for what belongs to somebody
else: another customer's consumer id, a redirect to their own site, a session that outlives the
operator's limit. What a caller may not set is refused by its name; dropping it silently would
hide both the attack and the mistake.
"""

from typing import Any, Final, cast

import orjson

from app.errors import FieldError, FieldNotPermittedError, InvalidRequestError
from app.identity.models import Caller
from app.sessions.consumers import consumer_of
from app.sessions.models import SessionPlan, SessionRequest
from app.sessions.redirects import redirect_target
from app.settings import SessionSettings
from app.vault import (
    KNOWN_UNIFIED_APIS,
    MAX_CUSTOM_SETTINGS_BYTES,
    Session,
    Theme,
    VaultSettings,
    session_minutes,
)

APIDECK_DEFAULT_LENGTH: Final = "1h"

_NOT_FORWARDED = frozenset({"return_to", "redirect_uri", "connection", "consumer_id"})
_PARTS = ("settings", "theme")


def plan_session(caller: Caller, request: SessionRequest, settings: SessionSettings) -> SessionPlan:
    """Decide what session a caller gets.

    Raises:
        FieldNotPermittedError: naming each field that this caller may not set.
        ConsumerNotGrantedError: when a service asks for a consumer outside its grant.
        InvalidRequestError: naming each field that makes no sense together with the rest.
        RedirectNotAllowedError: when the redirect target is not a registered one.
    """
    _refuse_fields(caller, request, settings)
    target, redirect_uri = redirect_target(request, settings)
    consumer_id, metadata = consumer_of(caller, request)
    session = Session()
    if metadata:
        session["consumer_metadata"] = metadata
    if redirect_uri is not None:
        session["redirect_uri"] = redirect_uri
    if vault_settings := _vault_settings(request, settings, returns=redirect_uri is not None):
        session["settings"] = vault_settings
    if theme := cast("Theme", {**settings.defaults.theme, **request.get("theme", {})}):
        session["theme"] = theme
    if custom := _custom_settings(request, settings):
        session["custom_consumer_settings"] = custom
    return SessionPlan(
        consumer_id, session, request.get("connection"), _callers_own(request), target
    )


def _refuse_fields(caller: Caller, request: SessionRequest, settings: SessionSettings) -> None:
    permitted = settings.users_may_set if caller.kind == "user" else settings.services_may_set
    refused = [
        FieldError(f"/{field.replace('.', '/')}", "You may not set this.")
        for field in _fields(request)
        if field not in permitted and field.partition(".")[0] not in permitted
        if not (field == "consumer_id" and caller.kind == "service")
    ]
    if refused:
        raise FieldNotPermittedError(
            "The request sets fields that you may not set.", errors=refused
        )
    _refuse_unified_apis(request, settings)


def _fields(request: SessionRequest) -> list[str]:
    """Return the dotted names of what a request sets; `settings: {}` sets nothing."""
    parts = {part: cast("dict[str, Any]", request.get(part, {})) for part in _PARTS}
    return [field for field in request if field not in _PARTS] + [
        f"{part}.{key}" for part, keys in parts.items() for key in keys
    ]


def _refuse_unified_apis(request: SessionRequest, settings: SessionSettings) -> None:
    """Hold a caller to the operator's unified APIs, or to the known ones where there are none."""
    operators = settings.defaults.settings.get("unified_apis", [])
    allowed = frozenset(operators) or KNOWN_UNIFIED_APIS
    asked = request.get("settings", {}).get("unified_apis")
    refused = [
        FieldError(f"/settings/unified_apis/{i}", "This unified API is not on offer here.")
        for i, unified_api in enumerate(asked or [])
        if unified_api not in allowed
    ]
    if asked == [] and operators:
        # To Apideck an empty list means all of them.
        refused = [FieldError("/settings/unified_apis", "Name at least one unified API.")]
    connection = request.get("connection")
    if connection is not None and connection["unified_api"] not in allowed:
        refused.append(
            FieldError("/connection/unified_api", "This unified API is not on offer here.")
        )
    if refused:
        raise FieldNotPermittedError(
            "The request asks for unified APIs that are not on offer here.", errors=refused
        )


def _vault_settings(
    request: SessionRequest, settings: SessionSettings, *, returns: bool
) -> VaultSettings:
    own = request.get("settings", {})
    merged = cast("VaultSettings", {**settings.defaults.settings, **own})
    if merged.get("auto_redirect") and not returns:
        if "auto_redirect" in own:
            raise InvalidRequestError(
                "The request asks to be sent back automatically, but not where.",
                errors=[FieldError("/settings/auto_redirect", "Needs a redirect target.")],
            )
        del merged["auto_redirect"]
    return _limited(merged, own, settings)


def _limited(merged: VaultSettings, own: VaultSettings, settings: SessionSettings) -> VaultSettings:
    """Hold the length of the session to the operator's maximum, whoever leaves it out."""
    longest = session_minutes(settings.max_session_length)
    if session_minutes(merged.get("session_length", APIDECK_DEFAULT_LENGTH)) <= longest:
        return merged
    if "session_length" in own:
        raise FieldNotPermittedError(
            "The session would be longer than it may be.",
            errors=[
                FieldError("/settings/session_length", f"At most {settings.max_session_length}.")
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
                    f"At most {MAX_CUSTOM_SETTINGS_BYTES} bytes, the operator's included.",
                )
            ],
        )
    return merged


def _callers_own(request: SessionRequest) -> frozenset[str]:
    """Return what a caller can mend, should Apideck refuse it.

    A redirect URI is left out: whatever the caller sent, what is forwarded is the operator's.
    """
    forwarded = [field for field in _fields(request) if field not in _NOT_FORWARDED]
    return frozenset(f"/{field.replace('.', '/')}" for field in forwarded)
