"""Read an event from the bytes that Apideck signed. Pure.

The attack: a recorded event is delivered again, perhaps under another id. So the id, the type and
the time come from the signed content alone, never from a header. An event without a time, or with
an old one, is rejected, because what this service forwards is signed with the current time: an old
event would look new. An event that is delivered twice has the same id both times, by which the
receiver recognizes it.

Source: Apideck's OpenAPI description of the Vault API, "x-webhooks".
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any, Final, Literal

from . import javascript_json
from .errors import InvalidEventError, StaleEventError

MAX_CLOCK_SKEW: Final = timedelta(hours=1)
"""How far in the future an event may be dated."""

_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")
_TYPE = re.compile(r"[A-Za-z0-9_-]{1,64}(?:\.[A-Za-z0-9_-]{1,64}){0,7}")
_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?"
    r"(?:Z|[+-][0-9]{2}:[0-9]{2})"
)
_PRINTABLE = re.compile(r"[\x21-\x7e]{1,255}")
_EVENT_KEYS = (b'"event_type"', b'"event_id"')


@dataclass(frozen=True, slots=True)
class Event:
    """What the service reads of an event; everything else is forwarded unread.

    Attributes:
        id: Apideck's id of the event; the same in every delivery of it.
        type: such as `vault.connection.callable`.
        occurred_at: when it happened, with its time zone.
        consumer_id: the consumer whose connection it is about; for the audit event only.
        application_id: Apideck's id of the Unify app that it belongs to.
    """

    id: str
    type: str
    occurred_at: datetime
    consumer_id: str | None
    application_id: str | None


@dataclass(frozen=True, slots=True)
class IgnoredEvent:
    """A signed request that is acknowledged, but not forwarded.

    Attributes:
        reason: `validation-request`: Apideck sends one when a webhook is created or its URL
            changed. Its content is not documented, so everything signed that does not claim to be
            an event counts as one. `unwanted-type`: the event matches none of the patterns.
        type: the event's type, where it is an event.
    """

    reason: Literal["validation-request", "unwanted-type"]
    type: str | None = None


def read_event(content: bytes, patterns: Iterable[str]) -> Event | IgnoredEvent:
    """Return the event that signed content holds, or why there is none to forward.

    Args:
        content: what a valid signature covers.
        patterns: the event types to forward. An asterisk at the end also matches dots:
            `vault.connection.*` includes `vault.connection.token_refresh.failed`.

    Raises:
        InvalidEventError: the content is an event without a usable id, type or time.
    """
    if not any(key in content for key in _EVENT_KEYS):
        return IgnoredEvent("validation-request")
    payload = _payload(content)
    event_type = _required(payload, "event_type", _TYPE)
    if not any(fnmatchcase(event_type, pattern) for pattern in patterns):
        return IgnoredEvent("unwanted-type", event_type)
    return Event(
        id=_required(payload, "event_id", _ID),
        type=event_type,
        occurred_at=_time(payload),
        consumer_id=_of_entity(payload, "consumer_id"),
        application_id=_of_entity(payload, "application_id"),
    )


def check_age(event: Event, now: datetime, max_age: timedelta) -> None:
    """Reject an event that happened too long ago.

    Args:
        event: the event.
        now: the current time, with a time zone.
        max_age: how long ago it may have happened.

    Raises:
        StaleEventError: it is older, or dated more than `MAX_CLOCK_SKEW` in the future, so that it
            could be replayed for longer than `max_age`.
    """
    age = now - event.occurred_at
    if age > max_age:
        raise StaleEventError(
            "The event happened too long ago.", reason="occurred_at is older than the limit"
        )
    if age < -MAX_CLOCK_SKEW:
        raise StaleEventError(
            "The event is dated in the future.", reason="occurred_at is in the future"
        )


def _payload(content: bytes) -> dict[str, Any]:
    try:
        body = javascript_json.parse(content)
    except javascript_json.InvalidJSONError as error:
        raise _invalid(str(error)) from None
    payload = body.get("payload") if isinstance(body, dict) else None
    if not isinstance(payload, dict):
        raise _invalid("payload is not an object")
    return payload


def _required(payload: dict[str, Any], name: str, grammar: re.Pattern[str]) -> str:
    value = payload.get(name)
    if not isinstance(value, str) or grammar.fullmatch(value) is None:
        raise _invalid(f"{name} is missing or not usable")
    return value


def _time(payload: dict[str, Any]) -> datetime:
    try:
        return datetime.fromisoformat(_required(payload, "occurred_at", _TIME))
    except ValueError:
        raise _invalid("occurred_at is not a time") from None


def _of_entity(payload: dict[str, Any], name: str) -> str | None:
    """Return a field of the entity; events of the unified APIs have it in the payload itself."""
    entity = payload.get("entity")
    value = entity.get(name) if isinstance(entity, dict) else None
    value = payload.get(name) if value is None else value
    return value if isinstance(value, str) and _PRINTABLE.fullmatch(value) else None


def _invalid(fault: str) -> InvalidEventError:
    return InvalidEventError("The event is not valid.", reason=fault)
