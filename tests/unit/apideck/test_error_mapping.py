from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest

from app.apideck.error_mapping import (
    invalid_answer,
    meaning_of,
    not_asked,
    refusal,
    too_slow,
    unreachable,
)
from app.errors import (
    ApideckError,
    ApideckInvalidResponseError,
    ApideckMisconfiguredError,
    ApideckQuotaExhaustedError,
    ApideckRateLimitedError,
    ApideckRejectedRequestError,
    ApideckUnavailableError,
)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (201, ApideckInvalidResponseError),
        (204, ApideckInvalidResponseError),
        (302, ApideckMisconfiguredError),
        (307, ApideckMisconfiguredError),
        (400, ApideckRejectedRequestError),
        (401, ApideckMisconfiguredError),
        (402, ApideckQuotaExhaustedError),
        (403, ApideckRejectedRequestError),
        (404, ApideckMisconfiguredError),
        (409, ApideckRejectedRequestError),
        (422, ApideckRejectedRequestError),
        (429, ApideckRateLimitedError),
        (500, ApideckUnavailableError),
        (503, ApideckUnavailableError),
        (599, ApideckUnavailableError),
        (999, ApideckInvalidResponseError),
    ],
)
def test_every_status_is_one_error(status: int, error: type[ApideckError]) -> None:
    """Each answer but a 200 has exactly one meaning, and says on which page it is explained."""
    made = refusal(status, {}, b'{"type_name": "Name", "message": "secret words"}')

    assert type(made) is error
    assert made.reason is not None
    assert made.reason.startswith(f"{status} Name: ")
    assert "https://developers.apideck.com/" in made.reason
    assert "secret words" not in made.reason + made.detail


def test_the_operators_troubles_are_not_told_to_callers() -> None:
    """A caller never hears of keys, plans or quotas."""
    for status in (400, 401, 402, 404, 422):
        assert "key" not in meaning_of(status).detail
        assert "plan" not in meaning_of(status).detail


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("0", 0),
        ("7", 7),
        ("999999", 3600),
        ("-1", None),
        ("soon", None),
        ("1.5", None),
        ("²", None),
    ],
)
def test_retry_after_in_seconds_is_kept_within_an_hour(header: str, seconds: float | None) -> None:
    """A whole number of seconds is believed up to an hour, anything else is not."""
    assert refusal(429, {"retry-after": header}, b"").retry_after == seconds


def test_retry_after_as_a_date_is_turned_into_seconds() -> None:
    """A date in the future tells how long to wait; one in the past, not to."""
    future = format_datetime(datetime.now(UTC) + timedelta(minutes=2), usegmt=True)

    waits = refusal(503, {"retry-after": future}, b"").retry_after
    assert waits is not None
    assert 100 < waits <= 120
    assert refusal(503, {"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, b"").retry_after == 0


LATER = "Integrations cannot be opened just now; try again shortly."


@pytest.mark.parametrize("answered", [True, False])
def test_what_broke_before_an_answer_may_be_asked_again(answered: bool) -> None:
    """Once an answer has begun a session may exist, so nobody asks for a second one."""
    broken = unreachable(httpx.ReadError("reset"), answered=answered)
    slow = too_slow(1.2345, answered=answered)

    assert (broken.transient, slow.transient) == (not answered, not answered)
    assert (broken.detail, broken.reason) == (LATER, "no answer from Apideck: ReadError: reset")
    assert slow.detail == "Opening integrations takes too long just now; try again shortly."
    whole = "whole " if answered else ""
    assert slow.reason == f"no {whole}answer from Apideck within 1.23 s"


def test_what_was_not_asked_says_when_it_will_be() -> None:
    """The breaker's own seconds are passed on."""
    error = not_asked(2.5)

    assert (error.detail, error.retry_after, error.transient) == (LATER, 2.5, False)
    assert error.reason == "Apideck was not asked: it failed too often just before"


def test_an_answer_that_breaks_the_contract_says_how() -> None:
    """The operator learns what was wrong with it, the caller that it may pass."""
    error = invalid_answer("empty")

    assert (error.detail, error.reason) == (LATER, "Apideck's answer is empty")


@pytest.mark.parametrize(
    ("status", "transient"),
    [(400, False), (401, False), (429, True), (500, False), (502, True), (503, True), (504, True)],
)
def test_only_what_may_pass_is_asked_again(status: int, transient: bool) -> None:
    """A gateway's failure or too many requests may pass; a 500 may have minted."""
    error = refusal(status, {}, b"")

    assert error.transient is transient
    assert (error.reason or "").startswith(f"{status} unnamed: ")


def test_retry_after_is_bounded_in_both_forms() -> None:
    """An hour at most, whether in seconds or as a date; to the second where it fits."""
    assert refusal(429, {"retry-after": "3600"}, b"").retry_after == 3600
    assert refusal(429, {"retry-after": "3599"}, b"").retry_after == 3599
    assert refusal(429, {"retry-after": "Fri, 31 Dec 9999 23:59:59 GMT"}, b"").retry_after == 3600
    assert refusal(429, {}, b"").retry_after is None


def test_the_fields_that_apideck_names_are_kept() -> None:
    """They tell whether the caller can mend the request, and are empty where it names none."""
    named = refusal(400, {}, b'{"detail": {"theme.logo": "is too large"}}')
    unnamed = refusal(400, {}, b"")

    assert isinstance(named, ApideckRejectedRequestError)
    assert isinstance(unnamed, ApideckRejectedRequestError)
    assert named.fields == {"/theme/logo"}
    assert unnamed.fields == frozenset()
