"""Properties of the session policy for any request and any settings."""

from collections.abc import Callable, Sequence
from typing import Any, cast

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.apideck import wire
from app.errors import RequestRejectedError
from app.identity.models import Caller
from app.sessions.models import SessionPlan, SessionRequest
from app.sessions.policy import plan_session
from app.settings import SessionDefaults, SessionSettings
from app.settings.session import PERMISSIONS, SERVICES_ONLY
from app.vault import KNOWN_UNIFIED_APIS, ConsumerMetadata, session_minutes

TARGETS = {"home": "https://app.example.com/home", "other": "https://app.example.com/other?a=b"}
LENGTHS = ["1m", "30m", "59m", "1h", "61m", "2h", "24h", "1d", "7d"]
APIS = [*sorted(KNOWN_UNIFIED_APIS)[:4], "time-travel", "vault"]
METADATA = {"account_name": "Acme", "user_name": "Ada", "email": "ada@acme.example"}

EVERYTHING = tuple(sorted(PERMISSIONS))

names = st.sampled_from(["home", "other", "nowhere", "", "HOME"])
targets = st.sampled_from([*TARGETS.values()])
uris = targets | st.sampled_from(["https://evil.example/", ""]) | st.text() | st.tuples(
    targets, st.text("/.?#@:ae", min_size=1, max_size=3)
).map("".join)  # fmt: skip
apis = st.lists(st.sampled_from(APIS), max_size=4)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**17), 10**18) | st.floats(-1e9, 1e9) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
json_objects = st.dictionaries(st.text(max_size=8), json_values, max_size=3)
vault_settings = st.fixed_dictionaries(
    {},
    optional={
        "unified_apis": apis,
        "session_length": st.sampled_from(LENGTHS),
        "auto_redirect": st.booleans(),
        "show_logs": st.booleans(),
        "sandbox_mode": st.booleans(),
        "allow_actions": st.lists(st.sampled_from(["delete", "disable"]), max_size=2),
    },
)
themes = st.fixed_dictionaries(
    {},
    optional={
        "vault_name": st.sampled_from(["One", "Two"]),
        "logo": st.just("https://app.example.com/logo.png"),
        "primary_color": st.sampled_from(["#fff", "red"]),
    },
)
requests = st.fixed_dictionaries(
    {},
    optional={
        "return_to": names | st.none(),
        "redirect_uri": uris,
        "connection": st.fixed_dictionaries(
            {"unified_api": st.sampled_from(APIS), "service_id": st.just("xero")}
        ),
        "settings": vault_settings,
        "theme": themes,
        "custom_consumer_settings": json_objects,
        "consumer_id": st.sampled_from(["acme", "eu-1", "globex", "a b", "", "ä"]) | st.text(),
        "consumer_metadata": st.fixed_dictionaries({}, optional={"email": st.just("x@y.example")}),
    },
)
callers = st.sampled_from(
    [
        Caller("user", "main", "ada", "acme", ConsumerMetadata(**METADATA)),  # type: ignore[typeddict-item]
        Caller("user", "main", "otto", "globex"),
        Caller("service", "robots", "onboarding", None, grant=("acme", "eu-*")),
        Caller("service", "robots", "admin", None, grant=("*",)),
        Caller("service", "robots", "stranger", None),
    ]
)


def permissions(of: Sequence[str]) -> st.SearchStrategy[tuple[str, ...]]:
    """Return a strategy for all or some of these fields."""
    return st.just(tuple(of)) | st.lists(st.sampled_from(of), unique=True).map(tuple)


@st.composite
def settings(draw: st.DrawFn) -> SessionSettings:
    """Return settings that an operator can use."""
    longest = draw(st.sampled_from(LENGTHS))
    defaults: dict[str, Any] = draw(vault_settings)
    length = defaults.get("session_length", longest)
    if session_minutes(length) > session_minutes(longest):
        del defaults["session_length"]
    return SessionSettings.model_validate(
        {
            "return_to": TARGETS,
            "default_return_to": draw(st.sampled_from(["home", None])),
            "defaults": {
                "settings": defaults,
                "theme": draw(themes),
                "custom_consumer_settings": draw(json_objects),
            },
            "users_may_set": draw(permissions(sorted(PERMISSIONS - SERVICES_ONLY))),
            "services_may_set": draw(permissions(EVERYTHING)),
            "max_session_length": longest,
        }
    )


@st.composite
def cases(draw: st.DrawFn) -> tuple[Caller, dict[str, Any], SessionSettings]:
    """Return a caller, a request and settings; three in four have a valid consumer and target.

    A request that is rejected for its first mistake shows nothing about the rest.
    """
    caller, request, rules = draw(callers), draw(requests), draw(settings())
    if draw(st.integers(0, 3)):
        for name in ("consumer_id", "consumer_metadata") if caller.kind == "user" else ():
            request.pop(name, None)
        if caller.kind == "service":
            request["consumer_id"] = draw(st.sampled_from(["acme", "eu-1"]))
        request.pop(draw(st.sampled_from(["return_to", "redirect_uri"])), None)
    return caller, request, rules


ADMIN = Caller("service", "robots", "admin", None, grant=("*",))
STRICT = SessionSettings.model_validate(
    {
        "return_to": TARGETS,
        "services_may_set": EVERYTHING,
        "defaults": {"settings": {"unified_apis": APIS[:1]}, "theme": {"vault_name": "One"}},
    }
)
EDGE_CASES: list[dict[str, Any]] = [
    {"settings": {"auto_redirect": True}},
    {"settings": {"unified_apis": []}},
    {"settings": {"session_length": "2h"}},
    {"theme": {"vault_name": "Two"}},
    {"redirect_uri": f"{TARGETS['home']}/"},
    {"redirect_uri": TARGETS["home"].upper()},
    {"connection": {"unified_api": APIS[1], "service_id": "xero"}},
]
SEEDS: list[tuple[Caller, dict[str, Any], SessionSettings]] = [
    (
        Caller("user", "main", "ada", "acme"),
        {"settings": {}, "theme": {}},
        SessionSettings(users_may_set=()),
    ),
    *((ADMIN, {"consumer_id": "acme", **request}, STRICT) for request in EDGE_CASES),
]
"""Cases that Hypothesis rarely generates; every property is tested with these first."""


def seeded(test: Callable[..., None]) -> Callable[..., None]:
    """Test a property with the seeds, too."""
    for seed in SEEDS:
        test = example(case=seed)(test)
    return test


def planned(case: tuple[Caller, dict[str, Any], SessionSettings]) -> SessionPlan | None:
    """Return the plan for a case, or None if it is rejected."""
    caller, request, rules = case
    try:
        return plan_session(caller, cast("SessionRequest", request), rules)
    except RequestRejectedError:
        return None


def may(caller: Caller, rules: SessionSettings, field: str) -> bool:
    """Return whether a caller may set a field, by the definition of the setting."""
    permitted = rules.users_may_set if caller.kind == "user" else rules.services_may_set
    return field in permitted or field.partition(".")[0] in permitted


@seeded
@given(case=cases())
def test_everything_that_is_sent_is_allowed(
    case: tuple[Caller, dict[str, Any], SessionSettings],
) -> None:
    """Each part comes from the operator, or from a caller who may set it."""
    caller, request, rules = case
    plan = planned(case)
    if plan is None:
        return

    sent = cast("dict[str, Any]", plan.session)
    if caller.kind == "user":
        assert plan.consumer_id == caller.consumer_id
        assert sent.get("consumer_metadata", {}) == caller.consumer_metadata
        assert "consumer_metadata" not in request
        assert "consumer_id" not in request
    else:
        assert plan.consumer_id == request["consumer_id"]
        assert caller.may_act_for(plan.consumer_id)
    assert sent.get("redirect_uri") in {None, *TARGETS.values()}
    for part in ("settings", "theme"):
        defaults = cast("dict[str, Any]", getattr(rules.defaults, part))
        for key, value in sent.get(part, {}).items():
            own = request.get(part, {})
            if key in own:
                assert value == own[key]
                assert may(caller, rules, f"{part}.{key}")
            elif (part, key) != ("settings", "session_length"):
                assert value == defaults[key]
    operators = rules.defaults.settings.get("unified_apis", [])
    shown = sent.get("settings", {}).get("unified_apis", [])
    assert set(shown) <= (set(operators) or KNOWN_UNIFIED_APIS)
    assert shown or not operators
    if plan.connection is not None:
        assert plan.connection["unified_api"] in (set(operators) or KNOWN_UNIFIED_APIS)
    lasts = session_minutes(sent.get("settings", {}).get("session_length", "1h"))
    assert lasts <= session_minutes(rules.max_session_length)


@seeded
@given(case=cases())
def test_an_accepted_request_is_sent_unchanged(
    case: tuple[Caller, dict[str, Any], SessionSettings],
) -> None:
    """No field of the caller is dropped or changed silently."""
    caller, request, _ = case
    plan = planned(case)
    if plan is None:
        return

    sent = cast("dict[str, Any]", plan.session)
    for part in ("settings", "theme", "custom_consumer_settings"):
        assert request.get(part, {}).items() <= sent.get(part, {}).items()
    if caller.kind == "service":
        assert sent.get("consumer_metadata", {}) == request.get("consumer_metadata", {})
    if "redirect_uri" in request:
        assert sent["redirect_uri"] == request["redirect_uri"]
    if "return_to" in request:
        assert sent.get("redirect_uri") == TARGETS.get(request["return_to"])
    assert plan.connection == request.get("connection")


@seeded
@given(case=cases())
def test_the_policy_raises_only_rejections(
    case: tuple[Caller, dict[str, Any], SessionSettings],
) -> None:
    """The outcome is a plan that can be sent, or an error with a message."""
    caller, request, rules = case
    try:
        plan = plan_session(caller, cast("SessionRequest", request), rules)
    except RequestRejectedError as error:
        faults = [fault.pointer.startswith("/") and bool(fault.detail) for fault in error.errors]
        assert all([bool(error.detail), *faults])  # noqa: PT017 - both outcomes are valid
        return

    assert orjson.loads(wire.session_body(plan.session)) == plan.session
    assert plan.caller_fields <= {
        pointer
        for part in ("settings", "theme")
        for pointer in (f"/{part}/{key}" for key in request.get(part, {}))
    } | {"/custom_consumer_settings", "/consumer_metadata"}


@given(request=requests, rules=settings())
def test_merging_is_idempotent(request: dict[str, Any], rules: SessionSettings) -> None:
    """A request for a planned session gives the same plan again."""
    rules = rules.model_copy(update={"services_may_set": EVERYTHING})
    first_request: dict[str, Any] = {**request, "consumer_id": "acme"}
    try:
        first = plan_session(ADMIN, cast("SessionRequest", first_request), rules)
    except RequestRejectedError:
        return
    again = {**first.session, "consumer_id": "acme"}
    if "redirect_uri" not in again:
        again = {**again, "return_to": None}

    second = plan_session(ADMIN, cast("SessionRequest", again), rules)

    assert second.session == first.session


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 2**64, -(2**63) - 1, "\ud800"])
def test_custom_settings_that_are_not_json_are_rejected_at_startup(value: object) -> None:
    """TOML has values that JSON does not have; with them, every request would fail."""
    with pytest.raises(ValueError, match="JSON"):
        SessionDefaults(custom_consumer_settings={"x": [value]})


def test_users_cannot_be_allowed_to_set_fields_of_services() -> None:
    """Otherwise a user's metadata would be ignored, although the request is accepted."""
    with pytest.raises(ValueError, match="must not contain consumer_metadata"):
        SessionSettings(users_may_set=("return_to", "consumer_metadata"))


def test_custom_settings_that_are_too_large_are_rejected_at_startup() -> None:
    """Otherwise every request would be rejected, with an error that points to the caller."""
    with pytest.raises(ValueError, match="at most 4096 bytes"):
        SessionDefaults(custom_consumer_settings={"x": "y" * 4096})
