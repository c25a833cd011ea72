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
    """Plan a session for a request given as plain JSON."""
    asked = {"consumer_id": "acme"} if caller.kind == "service" else {}
    return plan_session(caller, cast("SessionRequest", {**asked, **(request or {})}), settings)


def pointers(error: VaultBffError) -> list[str]:
    """Return where the error says the faults are."""
    return [fault.pointer for fault in error.errors]


def test_nothing_asked_gives_the_operators_session_for_the_caller() -> None:
    """The operator's defaults and the caller's own metadata make the session."""
    assert plan() == SessionPlan(
        consumer_id="acme",
        session={
            "consumer_metadata": {"user_name": "Ada Lovelace"},
            "settings": {"unified_apis": ["accounting", "crm"], "show_logs": False},
            "theme": {"vault_name": "Example"},
            "custom_consumer_settings": {"region": "eu"},
        },
        connection=None,
        callers_own=frozenset(),
        target=None,
    )


def test_what_nobody_gave_is_not_sent() -> None:
    """Without defaults, metadata or wishes the body is empty, not full of nulls."""
    nobody = Caller("user", "main", "ada", "acme", ConsumerMetadata())

    assert plan(caller=nobody, settings=SessionSettings()).session == {}


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
def test_a_user_may_not_set_what_the_policy_does_not_name(
    request_: dict[str, Any], pointer: str
) -> None:
    """The field is refused by its pointer, even where its value would change nothing."""
    with pytest.raises(FieldNotPermittedError) as refused:
        plan(request_)
    assert pointers(refused.value) == [pointer]


def test_all_refused_fields_are_named_at_once() -> None:
    """A caller mends a request in one go."""
    with pytest.raises(FieldNotPermittedError) as refused:
        plan({"consumer_id": "x", "theme": {"vault_name": "x", "logo": "https://x.example"}})
    assert pointers(refused.value) == ["/consumer_id", "/theme/vault_name", "/theme/logo"]


def test_a_service_may_set_what_its_policy_names() -> None:
    """What the caller gives goes over the operator's defaults, key by key."""
    made = plan(
        {
            "settings": {"show_logs": True, "allow_actions": []},
            "theme": {"primary_color": "#336699"},
            "custom_consumer_settings": {"region": "us", "nothing": None},
        },
        caller=ROBOT,
    )

    assert made.session == {
        "settings": {"unified_apis": ["accounting", "crm"], "show_logs": True, "allow_actions": []},
        "theme": {"vault_name": "Example", "primary_color": "#336699"},
        "custom_consumer_settings": {"region": "us", "nothing": None},
    }
    assert made.callers_own == {
        "/settings/show_logs",
        "/settings/allow_actions",
        "/theme/primary_color",
        "/custom_consumer_settings",
    }


@pytest.mark.parametrize("consumer_id", ["acme", "eu-", "eu-globex"])
def test_a_service_mints_for_the_consumers_of_its_grant(consumer_id: str) -> None:
    """An exact id or a prefix covers the consumer, whose metadata the service names."""
    metadata = {"account_name": "Acme Inc."}

    made = plan({"consumer_id": consumer_id, "consumer_metadata": metadata}, caller=ROBOT)

    assert made.consumer_id == consumer_id
    assert made.session["consumer_metadata"] == metadata


@pytest.mark.parametrize("consumer_id", ["acme2", "acm", "globex", "EU-x", "xeu-"])
def test_a_service_mints_for_no_other_consumer(consumer_id: str) -> None:
    """Outside its grant a service is refused by the pointer of what it named."""
    with pytest.raises(ConsumerNotGrantedError) as refused:
        plan({"consumer_id": consumer_id}, caller=ROBOT)
    assert pointers(refused.value) == ["/consumer_id"]


@pytest.mark.parametrize("consumer_id", ["a b", "a\r\nb", "ä"])
def test_a_service_cannot_name_what_can_be_no_consumer(consumer_id: str) -> None:
    """What cannot stand in a header is refused before any grant is looked at."""
    everyone = Caller("service", "robots", "x", None, grant=("*",))

    with pytest.raises(InvalidRequestError) as refused:
        plan({"consumer_id": consumer_id}, caller=everyone)
    assert pointers(refused.value) == ["/consumer_id"]


def test_a_service_has_to_name_a_consumer() -> None:
    """There is no consumer that a service mints for by default."""
    with pytest.raises(InvalidRequestError) as refused:
        plan_session(ROBOT, SessionRequest(), SETTINGS)
    assert pointers(refused.value) == ["/consumer_id"]


def test_without_a_grant_a_service_mints_for_nobody() -> None:
    """A service that no grant names gets nothing, however good its token."""
    with pytest.raises(ConsumerNotGrantedError):
        plan({"consumer_id": "acme"}, caller=Caller("service", "robots", "stranger", None))


def test_one_field_of_a_part_can_be_permitted() -> None:
    """`theme.logo` permits the logo, and not the rest of the theme."""
    settings = SETTINGS.model_copy(update={"users_may_set": ("theme.logo",)})
    logo = {"logo": "https://app.example.com/logo.png"}

    assert plan({"theme": logo}, settings=settings).session["theme"]["logo"] == logo["logo"]
    with pytest.raises(FieldNotPermittedError):
        plan({"theme": {**logo, "vault_name": "x"}}, settings=settings)


@pytest.mark.parametrize("asked", [["accounting"], ["crm", "accounting"]])
def test_unified_apis_may_be_narrowed(asked: list[str]) -> None:
    """Within the operator's set the caller chooses."""
    made = plan({"settings": {"unified_apis": asked}})

    assert made.session["settings"]["unified_apis"] == asked


def test_unified_apis_may_not_be_widened() -> None:
    """An id outside the operator's set is refused by its place in the list."""
    with pytest.raises(FieldNotPermittedError) as refused:
        plan({"settings": {"unified_apis": ["crm", "hris"]}})
    assert pointers(refused.value) == ["/settings/unified_apis/1"]


def test_an_empty_list_of_unified_apis_would_mean_all_of_them() -> None:
    """To Apideck an empty list shows everything, so it is no way around the operator's set."""
    with pytest.raises(FieldNotPermittedError) as refused:
        plan({"settings": {"unified_apis": []}})
    assert pointers(refused.value) == ["/settings/unified_apis"]


def test_without_an_operators_set_a_caller_may_name_known_unified_apis_only() -> None:
    """Any id that Apideck documents is fine, an invented one is not."""
    settings = SessionSettings()

    for fine in (["hris"], []):
        made = plan({"settings": {"unified_apis": fine}}, settings=settings)
        assert made.session["settings"]["unified_apis"] == fine
    with pytest.raises(FieldNotPermittedError):
        plan({"settings": {"unified_apis": ["time-travel"]}}, settings=settings)


def test_an_operator_may_name_a_unified_api_that_is_newer_than_this_release() -> None:
    """Apideck adds ids; an operator's own are believed, and callers may then ask for them."""
    settings = SessionSettings(defaults=SessionDefaults(settings={"unified_apis": ["time-travel"]}))

    made = plan({"settings": {"unified_apis": ["time-travel"]}}, settings=settings)

    assert made.session["settings"] == {"unified_apis": ["time-travel"]}


def test_a_connection_is_held_to_the_operators_unified_apis() -> None:
    """The deep link opens nothing that the list would not show."""
    assert plan({"connection": {"unified_api": "crm", "service_id": "hubspot"}}).connection
    with pytest.raises(FieldNotPermittedError) as refused:
        plan({"connection": {"unified_api": "hris", "service_id": "bamboohr"}})
    assert pointers(refused.value) == ["/connection/unified_api"]


@pytest.mark.parametrize("request_", [{"return_to": "home"}, {"redirect_uri": HOME}])
def test_a_redirect_target_goes_by_its_name_or_its_exact_string(request_: dict[str, Any]) -> None:
    """Both ways lead to the registered string, and to the target's name for the audit."""
    made = plan(request_)

    assert (made.session["redirect_uri"], made.target) == (HOME, "home")


def test_a_registered_redirect_uri_may_hold_an_ampersand() -> None:
    """What the operator registered is used as it is."""
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
def test_a_redirect_uri_that_differs_in_one_byte_is_refused(uri: str) -> None:
    """Equal to a browser is not equal."""
    with pytest.raises(RedirectNotAllowedError) as refused:
        plan({"redirect_uri": uri})
    assert pointers(refused.value) == ["/redirect_uri"]


def test_an_unknown_target_name_is_refused() -> None:
    """A name that is not configured is refused by its pointer."""
    with pytest.raises(RedirectNotAllowedError) as refused:
        plan({"return_to": "nowhere"})
    assert pointers(refused.value) == ["/return_to"]


def test_a_target_is_named_once() -> None:
    """A name and a URI together leave open which one counts."""
    with pytest.raises(InvalidRequestError):
        plan({"return_to": "home", "redirect_uri": HOME})


def test_the_default_target_is_used_unless_the_caller_wants_none() -> None:
    """Absent takes the operator's default; null asks for no way back, as for embedding."""
    settings = SETTINGS.model_copy(update={"default_return_to": "home"})

    assert plan(settings=settings).session["redirect_uri"] == HOME
    assert "redirect_uri" not in plan({"return_to": None}, settings=settings).session


def test_auto_redirect_needs_somewhere_to_go() -> None:
    """Asked for without a target it is an error of the caller's."""
    with pytest.raises(InvalidRequestError) as refused:
        plan({"settings": {"auto_redirect": True}}, caller=ROBOT)
    assert pointers(refused.value) == ["/settings/auto_redirect"]

    made = plan({"settings": {"auto_redirect": True}, "return_to": "home"}, caller=ROBOT)
    assert made.session["settings"]["auto_redirect"] is True


def test_the_operators_auto_redirect_is_left_out_where_there_is_no_target() -> None:
    """A default that makes no sense for one session does not fail it."""
    settings = SETTINGS.model_copy(
        update={"defaults": SessionDefaults(settings={"auto_redirect": True})}
    )

    assert "settings" not in plan(settings=settings).session
    assert plan({"return_to": "home"}, settings=settings).session["settings"] == {
        "auto_redirect": True
    }


def test_a_session_is_never_longer_than_the_operators_maximum() -> None:
    """Asked for, too long is refused; not asked for, Apideck's hour is cut to the maximum."""
    settings = SETTINGS.model_copy(update={"max_session_length": "30m"})

    assert plan(settings=settings).session["settings"]["session_length"] == "30m"
    with pytest.raises(FieldNotPermittedError) as refused:
        plan({"settings": {"session_length": "31m"}}, caller=ROBOT, settings=settings)
    assert pointers(refused.value) == ["/settings/session_length"]
    made = plan({"settings": {"session_length": "15m"}}, caller=ROBOT, settings=settings)
    assert made.session["settings"]["session_length"] == "15m"


def test_custom_settings_are_bounded() -> None:
    """What is sent comes back inside a URL, so there is a limit to it."""
    overhead = len('{"region":"eu","x":""}')
    fits = {"x": "y" * (MAX_CUSTOM_SETTINGS_BYTES - overhead)}

    made = plan({"custom_consumer_settings": fits}, caller=ROBOT)
    assert made.session["custom_consumer_settings"] == {"region": "eu", **fits}
    with pytest.raises(InvalidRequestError) as refused:
        plan({"custom_consumer_settings": {"x": fits["x"] + "y"}}, caller=ROBOT)
    assert pointers(refused.value) == ["/custom_consumer_settings"]


def test_planning_changes_nothing_that_it_was_given() -> None:
    """The operator's defaults are the same for the next customer."""
    before = copy.deepcopy(SETTINGS.model_dump())
    request = {
        "settings": {"auto_redirect": False, "unified_apis": ["crm"]},
        "theme": {"logo": "https://x.example"},
        "custom_consumer_settings": {"region": "us"},
    }
    asked = copy.deepcopy(request)

    plan(request, caller=ROBOT)

    assert SETTINGS.model_dump() == before
    assert request == asked


def test_a_plan_shows_nothing_personal() -> None:
    """A plan in a log line or traceback holds no name."""
    assert "Ada" not in repr(plan())
    assert "Ada" not in repr(ADA)
