"""What callers are told, word for word: it is all that they have to mend a request by."""

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
FOR = {"consumer_id": "acme"}
APIS = "The request asks for unified APIs that are not on offer here."
API = "This unified API is not on offer here."
TARGET = "The redirect target is not registered with this service."
CASES: list[tuple[Caller, dict[str, Any], str, str, str]] = [
    (
        ADA,
        FOR,
        "The request sets fields that you may not set.",
        "/consumer_id",
        "You may not set this.",
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
        "Name the redirect target once.",
        "/redirect_uri",
        "Not together with return_to.",
    ),
    (
        ADA,
        {"redirect_uri": "https://evil.example"},
        TARGET,
        "/redirect_uri",
        "This redirect URI is not registered here.",
    ),
    (ADA, {"return_to": "away"}, TARGET, "/return_to", "No redirect target has this name."),
    (
        ROBOT,
        {},
        "Say for which consumer the session is.",
        "/consumer_id",
        "This field is required of a service.",
    ),
    (
        ROBOT,
        {"consumer_id": "a b"},
        "The consumer id is not usable.",
        "/consumer_id",
        "Must be 1 to 255 printable ASCII characters, without spaces.",
    ),
    (
        ROBOT,
        {"consumer_id": "globex"},
        "This service account may not mint sessions for this consumer.",
        "/consumer_id",
        "Outside the grant of this service account.",
    ),
    (
        ROBOT,
        {**FOR, "settings": {"auto_redirect": True}},
        "The request asks to be sent back automatically, but not where.",
        "/settings/auto_redirect",
        "Needs a redirect target.",
    ),
    (
        ROBOT,
        {**FOR, "settings": {"session_length": "2h"}},
        "The session would be longer than it may be.",
        "/settings/session_length",
        "At most 1h.",
    ),
    (
        ROBOT,
        {**FOR, "custom_consumer_settings": {"x": "y" * 5000}},
        "The custom consumer settings are too large.",
        "/custom_consumer_settings",
        "At most 4096 bytes, the operator's included.",
    ),
]


@pytest.mark.parametrize(("caller", "request_", "detail", "pointer", "fault"), CASES)
def test_a_refusal_says_what_is_wrong_and_where(
    caller: Caller, request_: dict[str, Any], detail: str, pointer: str, fault: str
) -> None:
    """Each has a sentence for the whole, and a place and a sentence for each field."""
    with pytest.raises(RequestRejectedError) as refused:
        plan_session(caller, cast("SessionRequest", request_), RULES)

    assert refused.value.detail == detail
    assert [(one.pointer, one.detail) for one in refused.value.errors] == [(pointer, fault)]
