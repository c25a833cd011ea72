from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from app.apideck.errors import meaning_of, refusal
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
