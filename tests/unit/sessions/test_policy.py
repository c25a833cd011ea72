import copy
from typing import Any, cast

import pytest

from app.errors import (
    ConsumerNotGrantedError,
    FieldNotPermittedError,
    InvalidRequestError,
    RedirectNotAllowedError,
    VaultBffError,
)
from app.identity.models import Caller
from app.sessions.models import SessionPlan, SessionRequest
from app.sessions.policy import plan_session
from app.settings import SessionDefaults, SessionSettings
from app.vault import MAX_CUSTOM_SETTINGS_BYTES, ConsumerMetadata

HOME = "https://app.example.com/home"
ADA = Caller("user", "main", "ada", "acme", ConsumerMetadata(user_name="Ada Lovelace"))
ROBOT = Caller("service", "robots", "onboarding", None, grant=("acme", "eu-*"))
SETTINGS = SessionSettings(
    return_to={"home": HOME, "other": "https://app.example.com/other?a=b&c=d"},
    defaults=SessionDefaults(
        settings={"unified_apis": ["accounting", "crm"], "show_logs": False},
        theme={"vault_name": "Example"},
        custom_consumer_settings={"region": "eu"},
    ),
)


def plan(
    request: dict[str, Any] | None = None,
    caller: Caller = ADA,
    settings: SessionSettings = SETTINGS,
) -> SessionPlan:
    """Plan a session for a request, given as plain JSON."""
    named = {"consumer_id": "acme"} if caller.kind == "service" else {}
    return plan_session(caller, cast("SessionRequest", {**named, **(request or {})}), settings)


def pointers(error: VaultBffError) -> list[str]:
    """Return the pointers of an error."""
    return [fault.pointer for fault in error.errors]


def test_an_empty_request_gets_the_operators_defaults() -> None:
    """The session has these defaults and the metadata of the caller."""
    assert plan() == SessionPlan(
        consumer_id="acme",
        session={
            "consumer_metadata": {"user_name": "Ada Lovelace"},
            "settings": {"unified_apis": ["accounting", "crm"], "show_logs": False},
            "theme": {"vault_name": "Example"},
            "custom_consumer_settings": {"region": "eu"},
        },
        connection=None,
        caller_fields=frozenset(),
        target=None,
    )


def test_a_field_that_was_not_set_is_not_sent() -> None:
    """Without defaults, metadata and fields the body is an empty object, without nulls."""
    ada = Caller("user", "main", "ada", "acme", ConsumerMetadata())

    assert plan(caller=ada, settings=SessionSettings()).session == {}


@pytest.mark.parametrize(
    ("request_", "pointer"),
    [
        ({"consumer_id": "globex"}, "/consumer_id"),
        ({"consumer_id": "acme"}, "/consumer_id"),
        ({"consumer_metadata": {}}, "/consumer_metadata"),
        ({"settings": {"session_length": "30m"}}, "/settings/session_length"),
        ({"settings": {"show_logs": False}}, "/settings/show_logs"),
        ({"theme": {"logo": "https://x.example/y.png"}}, "/theme/logo"),
        ({"custom_consumer_settings": {}}, "/custom_consumer_settings"),
    ],
)
def test_a_user_may_not_set_a_field_that_the_policy_does_not_list(
    request_: dict[str, Any], pointer: str
) -> None:
    """The field is rejected with its pointer, even if its value would change nothing."""
    with pytest.raises(FieldNotPermittedError) as rejected:
        plan(request_)
    assert pointers(rejected.value) == [pointer]


def test_all_rejected_fields_are_named_together() -> None:
    """The caller can correct the request in one step."""
    with pytest.raises(FieldNotPermittedError) as rejected:
        plan({"consumer_id": "x", "theme": {"vault_name": "x", "logo": "https://x.example"}})
    assert pointers(rejected.value) == ["/consumer_id", "/theme/vault_name", "/theme/logo"]


def test_a_service_may_set_the_fields_that_the_policy_lists() -> None:
    """The caller's fields override the operator's defaults, key by key."""
    planned = plan(
        {
            "settings": {"show_logs": True, "allow_actions": []},
            "theme": {"primary_color": "#336699"},
            "custom_consumer_settings": {"region": "us", "nothing": None},
        },
        caller=ROBOT,
    )

    assert planned.session == {
        "settings": {"unified_apis": ["accounting", "crm"], "show_logs": True, "allow_actions": []},
        "theme": {"vault_name": "Example", "primary_color": "#336699"},
        "custom_consumer_settings": {"region": "us", "nothing": None},
    }
    assert planned.caller_fields == {
        "/settings/show_logs",
        "/settings/allow_actions",
        "/theme/primary_color",
        "/custom_consumer_settings",
    }


@pytest.mark.parametrize("consumer_id", ["acme", "eu-", "eu-globex"])
def test_a_service_creates_sessions_for_the_consumers_of_its_grant(consumer_id: str) -> None:
    """The grant has an exact ID or a prefix; the service supplies the metadata."""
    metadata = {"account_name": "Acme Inc."}

    planned = plan({"consumer_id": consumer_id, "consumer_metadata": metadata}, caller=ROBOT)

    assert planned.consumer_id == consumer_id
    assert planned.session["consumer_metadata"] == metadata


@pytest.mark.parametrize("consumer_id", ["acme2", "acm", "globex", "EU-x", "xeu-"])
def test_a_service_creates_no_session_for_another_consumer(consumer_id: str) -> None:
    """A consumer outside the grant is rejected with its pointer."""
    with pytest.raises(ConsumerNotGrantedError) as rejected:
        plan({"consumer_id": consumer_id}, caller=ROBOT)
    assert pointers(rejected.value) == ["/consumer_id"]


@pytest.mark.parametrize("consumer_id", ["a b", "a\r\nb", "ä"])
def test_a_service_cannot_name_an_invalid_consumer(consumer_id: str) -> None:
    """An ID that cannot be a header is rejected before any grant is checked."""
    admin = Caller("service", "robots", "x", None, grant=("*",))

    with pytest.raises(InvalidRequestError) as rejected:
        plan({"consumer_id": consumer_id}, caller=admin)
    assert pointers(rejected.value) == ["/consumer_id"]


def test_a_service_must_name_a_consumer() -> None:
    """There is no default consumer for services."""
    with pytest.raises(InvalidRequestError) as rejected:
        plan_session(ROBOT, SessionRequest(), SETTINGS)
    assert pointers(rejected.value) == ["/consumer_id"]


def test_a_service_without_a_grant_gets_no_session() -> None:
    """A valid token alone is not enough."""
    with pytest.raises(ConsumerNotGrantedError):
        plan({"consumer_id": "acme"}, caller=Caller("service", "robots", "stranger", None))


def test_a_single_field_of_a_part_can_be_permitted() -> None:
    """`theme.logo` permits the logo, not the rest of the theme."""
    settings = SETTINGS.model_copy(update={"users_may_set": ("theme.logo",)})
    logo = {"logo": "https://app.example.com/logo.png"}

    assert plan({"theme": logo}, settings=settings).session["theme"]["logo"] == logo["logo"]
    with pytest.raises(FieldNotPermittedError):
        plan({"theme": {**logo, "vault_name": "x"}}, settings=settings)


@pytest.mark.parametrize("requested", [["accounting"], ["crm", "accounting"]])
def test_unified_apis_may_be_narrowed(requested: list[str]) -> None:
    """The caller may select from the operator's set."""
    planned = plan({"settings": {"unified_apis": requested}})

    assert planned.session["settings"]["unified_apis"] == requested


def test_unified_apis_may_not_be_widened() -> None:
    """An ID outside the operator's set is rejected with its index."""
    with pytest.raises(FieldNotPermittedError) as rejected:
        plan({"settings": {"unified_apis": ["crm", "hris"]}})
    assert pointers(rejected.value) == ["/settings/unified_apis/1"]


def test_an_empty_list_of_unified_apis_is_rejected() -> None:
    """Apideck treats it as all unified APIs, so it would bypass the operator's set."""
    with pytest.raises(FieldNotPermittedError) as rejected:
        plan({"settings": {"unified_apis": []}})
    assert pointers(rejected.value) == ["/settings/unified_apis"]


def test_without_an_operators_set_only_known_unified_apis_are_allowed() -> None:
    """These are the IDs that Apideck documents."""
    settings = SessionSettings()

    for allowed in (["hris"], []):
        planned = plan({"settings": {"unified_apis": allowed}}, settings=settings)
        assert planned.session["settings"]["unified_apis"] == allowed
    with pytest.raises(FieldNotPermittedError):
        plan({"settings": {"unified_apis": ["time-travel"]}}, settings=settings)


def test_an_operator_may_name_a_unified_api_that_is_newer_than_this_release() -> None:
    """Apideck adds IDs, so callers may use whatever the operator configured."""
    settings = SessionSettings(defaults=SessionDefaults(settings={"unified_apis": ["time-travel"]}))

    planned = plan({"settings": {"unified_apis": ["time-travel"]}}, settings=settings)

    assert planned.session["settings"] == {"unified_apis": ["time-travel"]}


def test_a_connection_must_be_within_the_operators_unified_apis() -> None:
    """The deep link cannot open a connector that the list would not show."""
    assert plan({"connection": {"unified_api": "crm", "service_id": "hubspot"}}).connection
    with pytest.raises(FieldNotPermittedError) as rejected:
        plan({"connection": {"unified_api": "hris", "service_id": "bamboohr"}})
    assert pointers(rejected.value) == ["/connection/unified_api"]


@pytest.mark.parametrize("request_", [{"return_to": "home"}, {"redirect_uri": HOME}])
def test_a_redirect_target_is_selected_by_its_name_or_its_exact_string(
    request_: dict[str, Any],
) -> None:
    """Both give the registered string, and the name of the target for the audit event."""
    planned = plan(request_)

    assert (planned.session["redirect_uri"], planned.target) == (HOME, "home")


def test_a_registered_redirect_uri_may_contain_an_ampersand() -> None:
    """A registered URI is used unchanged."""
    uri = SETTINGS.return_to["other"]

    assert plan({"redirect_uri": uri}).session["redirect_uri"] == uri


@pytest.mark.parametrize(
    "uri",
    [
        HOME + "/",
        HOME + "?",
        HOME + "#",
        HOME.upper(),
        "https://app.example.com:443/home",
        "https://app.example.com/./home",
        "https://app.example.com/hom%65",
        " " + HOME,
        "https://evil.example/home",
    ],
)
def test_a_redirect_uri_that_differs_in_one_byte_is_rejected(uri: str) -> None:
    """This includes URIs that are equal for a browser."""
    with pytest.raises(RedirectNotAllowedError) as rejected:
        plan({"redirect_uri": uri})
    assert pointers(rejected.value) == ["/redirect_uri"]


def test_an_unknown_target_name_is_rejected() -> None:
    """A name that is not configured is rejected with its pointer."""
    with pytest.raises(RedirectNotAllowedError) as rejected:
        plan({"return_to": "nowhere"})
    assert pointers(rejected.value) == ["/return_to"]


def test_a_target_must_not_be_named_twice() -> None:
    """A name together with a URI is ambiguous."""
    with pytest.raises(InvalidRequestError):
        plan({"return_to": "home", "redirect_uri": HOME})


def test_the_default_target_is_used_unless_the_request_has_null() -> None:
    """Null means no redirect target, for example when the Vault is embedded."""
    settings = SETTINGS.model_copy(update={"default_return_to": "home"})

    assert plan(settings=settings).session["redirect_uri"] == HOME
    assert "redirect_uri" not in plan({"return_to": None}, settings=settings).session


def test_auto_redirect_requires_a_redirect_target() -> None:
    """If the caller sets it without a target, the request is rejected."""
    with pytest.raises(InvalidRequestError) as rejected:
        plan({"settings": {"auto_redirect": True}}, caller=ROBOT)
    assert pointers(rejected.value) == ["/settings/auto_redirect"]

    planned = plan({"settings": {"auto_redirect": True}, "return_to": "home"}, caller=ROBOT)
    assert planned.session["settings"]["auto_redirect"] is True


def test_the_operators_auto_redirect_is_omitted_without_a_target() -> None:
    """A default that does not apply to one session does not fail it."""
    settings = SETTINGS.model_copy(
        update={"defaults": SessionDefaults(settings={"auto_redirect": True})}
    )

    assert "settings" not in plan(settings=settings).session
    assert plan({"return_to": "home"}, settings=settings).session["settings"] == {
        "auto_redirect": True
    }


def test_a_session_is_never_longer_than_the_operators_maximum() -> None:
    """A longer request is rejected; without one, Apideck's default of an hour is shortened."""
    settings = SETTINGS.model_copy(update={"max_session_length": "30m"})

    assert plan(settings=settings).session["settings"]["session_length"] == "30m"
    with pytest.raises(FieldNotPermittedError) as rejected:
        plan({"settings": {"session_length": "31m"}}, caller=ROBOT, settings=settings)
    assert pointers(rejected.value) == ["/settings/session_length"]
    planned = plan({"settings": {"session_length": "15m"}}, caller=ROBOT, settings=settings)
    assert planned.session["settings"]["session_length"] == "15m"


def test_custom_settings_are_limited_in_size() -> None:
    """They become part of a URL."""
    overhead = len('{"region":"eu","x":""}')
    fits = {"x": "y" * (MAX_CUSTOM_SETTINGS_BYTES - overhead)}

    planned = plan({"custom_consumer_settings": fits}, caller=ROBOT)
    assert planned.session["custom_consumer_settings"] == {"region": "eu", **fits}
    with pytest.raises(InvalidRequestError) as rejected:
        plan({"custom_consumer_settings": {"x": fits["x"] + "y"}}, caller=ROBOT)
    assert pointers(rejected.value) == ["/custom_consumer_settings"]


def test_planning_does_not_change_its_arguments() -> None:
    """The operator's defaults stay the same for the next caller."""
    before = copy.deepcopy(SETTINGS.model_dump())
    request = {
        "settings": {"auto_redirect": False, "unified_apis": ["crm"]},
        "theme": {"logo": "https://x.example"},
        "custom_consumer_settings": {"region": "us"},
    }
    original = copy.deepcopy(request)

    plan(request, caller=ROBOT)

    assert SETTINGS.model_dump() == before
    assert request == original


def test_the_repr_of_a_plan_contains_no_personal_data() -> None:
    """A plan in a log line or traceback shows no name."""
    assert "Ada" not in repr(plan())
    assert "Ada" not in repr(ADA)
