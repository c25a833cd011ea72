from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.webhooks.errors import InvalidEventError, StaleEventError
from app.webhooks.event import (
    MAX_CLOCK_SKEW,
    Event,
    IgnoredEvent,
    check_age,
    read_event,
)
from tests.support.apideck_events import EVENT_ID, event, raw, sorted_everywhere

ALL = ("*",)
NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
WEEK = timedelta(days=7)
TOO_OLD = ("The event happened too long ago.", "occurred_at is older than the limit")
TOO_NEW = ("The event is dated in the future.", "occurred_at is in the future")


def parsed_event(**changes: Any) -> Event:
    """Parse an event, and check that it is not ignored."""
    found = read_event(raw(event(**changes)), ALL)
    assert isinstance(found, Event)
    return found


def fault(content: bytes) -> str | None:
    """Return the reason why content is rejected."""
    with pytest.raises(InvalidEventError) as error:
        read_event(content, ALL)
    assert error.value.detail == "The event is not valid."
    return error.value.reason


@pytest.mark.parametrize("form", [raw, sorted_everywhere], ids=lambda form: form.__name__)
def test_an_event_is_read_from_its_signed_content(form: Any) -> None:
    """It has the id, type and time from Apideck, and the consumer and application."""
    body = event()
    body["payload"]["entity"]["application_id"] = "app-1"
    assert read_event(form(body), ALL) == Event(
        EVENT_ID, "vault.connection.callable", NOW, "acme", "app-1"
    )


@pytest.mark.parametrize("name", ["event_id", "event_type", "occurred_at"])
@pytest.mark.parametrize(
    "value", [None, "", 5, True, ["a"], {"a": "b"}, "a\n", "ä", "x" * 129, "*"]
)
def test_an_event_needs_a_usable_id_type_and_time(name: str, value: Any) -> None:
    """Without them, the receiver could not trust the forwarded event."""
    assert fault(raw(event(**{name: value}))) == f"{name} is missing or not usable"


@pytest.mark.parametrize("value", ["a b", "a/b", "../a", "a.b", "a,b", "\u202ea", " a", "a "])
def test_an_id_has_only_characters_that_are_safe_in_a_header(value: str) -> None:
    """It is sent in a header, and is a part of the signed text, which is separated by dots."""
    assert fault(raw(event(event_id=value))) == "event_id is missing or not usable"


@pytest.mark.parametrize("value", ["a", "A_b-9", "x" * 128])
def test_a_valid_id_is_not_changed(value: str) -> None:
    """The same event always has the same id."""
    assert parsed_event(event_id=value).id == value


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("2026-11-30T12:00:00Z", NOW),
        ("2026-11-30T12:00:00.000000000Z", NOW),
        ("2026-11-30T13:30:00+01:30", NOW),
        ("2026-11-30T11:59:59.5-00:00", NOW - timedelta(seconds=0.5)),
    ],
)
def test_a_time_has_a_time_zone(written: str, expected: datetime) -> None:
    """The format is that of RFC 3339."""
    assert parsed_event(occurred_at=written).occurred_at == expected


@pytest.mark.parametrize(
    "written",
    [
        "2026-11-30",
        "2026-11-30T12:00:00",
        "2026-11-30 12:00:00Z",
        "20261130T120000Z",
        "2026-W49-1T12:00:00Z",
        "1796040000",
        "2026-11-30T12:00:00Zx",
        "\uff12026-11-30T12:00:00Z",
    ],
)
def test_other_formats_of_a_time_are_rejected(written: str) -> None:
    """A time that a library guesses does not prove the age of an event."""
    assert fault(raw(event(occurred_at=written))) == "occurred_at is missing or not usable"


@pytest.mark.parametrize(
    "written",
    ["2026-02-30T12:00:00Z", "2026-11-30T25:00:00Z", "2026-11-30T12:00:00+24:00"],
)
def test_a_time_that_does_not_exist_is_rejected(written: str) -> None:
    """Each part of a time has its own range."""
    assert fault(raw(event(occurred_at=written))) == "occurred_at is not a time"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b'{"event_id":"a","event_type":"b"}', "payload is not an object"),
        (b'[{"payload":{"event_type":"a"}}]', "payload is not an object"),
        (b'{"payload":["event_id","event_type"]}', "payload is not an object"),
        (b'{"payload":{"event_type":"a","event_type":"b"}}', "an object has a duplicate key"),
        (b'{"payload":{"event_type":"a"}', "not JSON"),
        (
            b'{"payload":{"event_type":"a","x":' + b"[" * 9000 + b"]" * 9000 + b"}}",
            "nested too deeply",
        ),
        (b'{"payload":{"event_type":"a","x":[' + b"0," * 20_000, "too many values"),
    ],
)
def test_a_malformed_event_is_not_treated_as_a_validation_request(
    content: bytes, reason: str
) -> None:
    """After a 2xx, Apideck would not deliver the event again."""
    assert fault(content) == reason


@pytest.mark.parametrize("content", [b"", b"ping", b"{}", b"[]", b'{"payload":{}}', b'{"test":1}'])
def test_a_body_that_does_not_look_like_an_event_is_a_validation_request(
    content: bytes,
) -> None:
    """Apideck does not document the body of this request."""
    assert read_event(content, ALL) == IgnoredEvent("validation-request")


@pytest.mark.parametrize(
    ("pattern", "event_type", "expected"),
    [
        ("*", "anything.at.all", True),
        ("vault.connection.*", "vault.connection.callable", True),
        ("vault.connection.*", "vault.connection.token_refresh.failed", True),
        ("vault.connection.*", "vault.connections.callable", False),
        ("vault.connection.*", "crm.vault.connection.callable", False),
        ("vault.connection.c*", "vault.connection.created", True),
        ("vault.connection.created", "vault.connection.created", True),
        ("vault.connection.created", "vault.connection.created.again", False),
        ("vault.connection.created", "vault_connection_created", False),
    ],
)
def test_patterns_match_a_type_or_its_beginning(
    pattern: str, event_type: str, *, expected: bool
) -> None:
    """Only the asterisk is special, and it also matches dots."""
    result = read_event(raw(event(event_type=event_type)), [pattern])

    assert isinstance(result, Event) is expected


def test_an_event_of_another_type_is_not_forwarded() -> None:
    """Only the type is checked; the other fields can be missing."""
    content = raw(event(event_type="crm.contact.created", event_id=None, occurred_at=None))
    ignored = IgnoredEvent("unwanted-type", "crm.contact.created")
    assert read_event(content, ("vault.connection.*",)) == ignored
    assert read_event(content, ()) == ignored
    with pytest.raises(InvalidEventError):
        read_event(content, ("vault.connection.*", "crm.*"))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"entity": {"consumer_id": "acme"}}, "acme"),
        ({"entity": None, "consumer_id": "acme"}, "acme"),
        ({"entity": {"consumer_id": "acme"}, "consumer_id": "other"}, "acme"),
        ({"entity": "acme"}, None),
        ({"entity": {}}, None),
        ({"entity": {"consumer_id": 5}}, None),
        ({"entity": {"consumer_id": "a\nb"}}, None),
        ({"entity": {"consumer_id": "x" * 256}}, None),
    ],
)
def test_the_consumer_is_read_if_there_is_a_valid_one(
    changes: dict[str, Any], expected: str | None
) -> None:
    """An event without a consumer, or with one that is not safe to log, is still forwarded."""
    assert parsed_event(**changes).consumer_id == expected


@pytest.mark.parametrize(
    "occurred_at", [NOW, NOW - WEEK, NOW + MAX_CLOCK_SKEW, NOW - timedelta(hours=1)]
)
def test_an_event_within_the_age_limit_is_accepted(occurred_at: datetime) -> None:
    """Both limits are inclusive."""
    check_age(Event("a", "b", occurred_at, None, None), NOW, WEEK)


@pytest.mark.parametrize(
    ("occurred_at", "detail", "reason"),
    [
        ("2026-11-23T11:59:59.999Z", *TOO_OLD),
        ("0001-01-01T00:00:00+23:59", *TOO_OLD),
        ("2026-11-30T13:00:00.001Z", *TOO_NEW),
        ("9999-12-31T23:59:59-23:59", *TOO_NEW),
    ],
)
def test_an_event_outside_the_age_limit_is_rejected(
    occurred_at: str, detail: str, reason: str
) -> None:
    """The attack: an event that was recorded long ago, or that could be replayed for years."""
    with pytest.raises(StaleEventError) as error:
        check_age(parsed_event(occurred_at=occurred_at), NOW, WEEK)
    assert str(error.value) == detail
    assert (error.value.detail, error.value.reason) == (detail, reason)
