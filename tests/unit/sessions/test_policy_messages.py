"""The exact messages that tell callers how to correct a request."""

from typing import Any, cast

import pytest

from app.errors import RequestRejectedError
from app.identity.models import Caller
from app.sessions.models import SessionRequest
from app.sessions.policy import plan_session
from app.settings import SessionDefaults, SessionSettings

HOME = "https://app.example.com/home"
ADA = Caller("user", "main", "ada", "acme")
ROBOT = Caller("service", "robots", "onboarding", None, grant=("acme",))
RULES = SessionSettings(
    return_to={"home": HOME}, defaults=SessionDefaults(settings={"unified_apis": ["crm"]})
)
CONSUMER = {"consumer_id": "acme"}
APIS = "The request names unified APIs that are not available."
API = "This unified API is not available."
TARGET = "The redirect target is not registered with this service."
CASES: list[tuple[Caller, dict[str, Any], str, str, str]] = [
    (
        ADA,
        CONSUMER,
        "The request contains fields that you may not set.",
        "/consumer_id",
        "You may not set this field.",
    ),
    (ADA, {"settings": {"unified_apis": ["hris"]}}, APIS, "/settings/unified_apis/0", API),
    (
        ADA,
        {"settings": {"unified_apis": []}},
        APIS,
        "/settings/unified_apis",
        "Name at least one unified API.",
    ),
    (
        ADA,
        {"connection": {"unified_api": "hris", "service_id": "x"}},
        APIS,
        "/connection/unified_api",
        API,
    ),
    (
        ADA,
        {"return_to": "home", "redirect_uri": HOME},
        "The request names a redirect target twice.",
        "/redirect_uri",
        "Not together with return_to.",
    ),
    (
        ADA,
        {"redirect_uri": "https://evil.example"},
        TARGET,
        "/redirect_uri",
        "This redirect URI is not registered.",
    ),
    (ADA, {"return_to": "away"}, TARGET, "/return_to", "No redirect target has this name."),
    (
        ROBOT,
        {},
        "The request does not name a consumer.",
        "/consumer_id",
        "This field is required for a service.",
    ),
    (
        ROBOT,
        {"consumer_id": "a b"},
        "The consumer ID is invalid.",
        "/consumer_id",
        "Must be 1 to 255 printable ASCII characters without spaces.",
    ),
    (
        ROBOT,
        {"consumer_id": "globex"},
        "This service may not act for this consumer.",
        "/consumer_id",
        "Outside the grant of this service.",
    ),
    (
        ROBOT,
        {**CONSUMER, "settings": {"auto_redirect": True}},
        "The request enables auto_redirect without a redirect target.",
        "/settings/auto_redirect",
        "Requires a redirect target.",
    ),
    (
        ROBOT,
        {**CONSUMER, "settings": {"session_length": "2h"}},
        "The session would be longer than allowed.",
        "/settings/session_length",
        "Must be at most 1h.",
    ),
    (
        ROBOT,
        {**CONSUMER, "custom_consumer_settings": {"x": "y" * 5000}},
        "The custom consumer settings are too large.",
        "/custom_consumer_settings",
        "Must be at most 4096 bytes of JSON, including the operator's defaults.",
    ),
]


@pytest.mark.parametrize(("caller", "request_", "detail", "pointer", "fault"), CASES)
def test_a_rejection_says_what_is_wrong_and_where(
    caller: Caller, request_: dict[str, Any], detail: str, pointer: str, fault: str
) -> None:
    """It has a sentence for the request, and a pointer and a sentence for each field."""
    with pytest.raises(RequestRejectedError) as rejected:
        plan_session(caller, cast("SessionRequest", request_), RULES)

    assert rejected.value.detail == detail
    assert [(error.pointer, error.detail) for error in rejected.value.errors] == [(pointer, fault)]
