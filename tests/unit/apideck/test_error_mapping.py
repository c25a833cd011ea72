from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest

from app.apideck.error_mapping import (
    NotFound,
    circuit_open,
    connection_not_found,
    error_of,
    invalid_response,
    meaning_of,
    no_response,
    out_of_descriptors,
    timed_out,
)
from app.errors import (
    ApideckError,
    ApideckInvalidResponseError,
    ApideckMisconfiguredError,
    ApideckQuotaExhaustedError,
    ApideckRateLimitedError,
    ApideckRejectedRequestError,
    ApideckUnavailableError,
    ConnectionNotFoundError,
    FieldError,
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
def test_every_status_maps_to_one_error(status: int, error: type[ApideckError]) -> None:
    """Each status other than 200 has one error, whose reason links to the documentation."""
    mapped = error_of(status, {}, b'{"type_name": "Name", "message": "secret words"}')

    assert type(mapped) is error
    assert mapped.reason is not None
    assert mapped.reason.startswith(f"{status} Name: ")
    assert "https://developers.apideck.com/" in mapped.reason
    assert "secret words" not in mapped.reason + mapped.detail


def test_the_detail_does_not_mention_the_operators_account() -> None:
    """The detail, which the caller reads, mentions neither keys nor plans."""
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
def test_retry_after_in_seconds_is_limited_to_an_hour(header: str, seconds: float | None) -> None:
    """A whole number of seconds is used up to one hour; any other value is ignored."""
    assert error_of(429, {"retry-after": header}, b"").retry_after == seconds


def test_retry_after_as_a_date_is_converted_to_seconds() -> None:
    """A date in the past means no wait."""
    future = format_datetime(datetime.now(UTC) + timedelta(minutes=2), usegmt=True)

    seconds = error_of(503, {"retry-after": future}, b"").retry_after
    assert seconds is not None
    assert 100 < seconds <= 120
    assert error_of(503, {"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, b"").retry_after == 0


TRY_AGAIN = "Integrations are not available right now. Try again shortly."


@pytest.mark.parametrize("received", [True, False])
def test_a_failure_before_the_response_may_be_retried(received: bool) -> None:
    """After a response has started, the session may exist, so no second request is sent."""
    broken = no_response(httpx.ReadError("reset"), headers_received=received)
    slow = timed_out(1.2345, headers_received=received)

    assert (broken.transient, slow.transient) == (not received, not received)
    assert (broken.detail, broken.reason) == (
        TRY_AGAIN,
        "no response from Apideck: ReadError",
    )
    assert slow.detail == "Opening integrations takes too long right now. Try again shortly."
    complete = "complete " if received else ""
    assert slow.reason == f"no {complete}response from Apideck within 1.23 s"


def test_an_open_circuit_breaker_sets_retry_after() -> None:
    """The value is the time after which the circuit breaker allows a request."""
    error = circuit_open(2.5)

    assert (error.detail, error.retry_after, error.transient) == (TRY_AGAIN, 2.5, False)
    assert error.reason == "no request sent to Apideck, because most of the last ones failed"


def test_an_invalid_response_has_a_reason() -> None:
    """The reason tells the operator what is wrong; the detail tells the caller to retry."""
    error = invalid_response("empty")

    assert (error.detail, error.reason) == (TRY_AGAIN, "invalid response of Apideck: empty")


@pytest.mark.parametrize(
    ("status", "transient"),
    [(400, False), (401, False), (429, True), (500, False), (502, True), (503, True), (504, True)],
)
def test_only_temporary_failures_are_retried(status: int, transient: bool) -> None:
    """A 429 or a gateway error is temporary; a request with a 500 may have created a session."""
    error = error_of(status, {}, b"")

    assert error.transient is transient
    assert (error.reason or "").startswith(f"{status} unnamed: ")


def test_retry_after_is_bounded_in_both_forms() -> None:
    """It is at most an hour, in seconds and as a date."""
    assert error_of(429, {"retry-after": "3600"}, b"").retry_after == 3600
    assert error_of(429, {"retry-after": "3599"}, b"").retry_after == 3599
    assert error_of(429, {"retry-after": "Fri, 31 Dec 9999 23:59:59 GMT"}, b"").retry_after == 3600
    assert error_of(429, {}, b"").retry_after is None


def test_the_fields_that_apideck_names_are_kept() -> None:
    """They show whether the caller can correct the request; if there are none, the set is empty."""
    named = error_of(400, {}, b'{"detail": {"theme.logo": "is too large"}}')
    unnamed = error_of(400, {}, b"")

    assert isinstance(named, ApideckRejectedRequestError)
    assert isinstance(unnamed, ApideckRejectedRequestError)
    assert named.fields == {"/theme/logo"}
    assert unnamed.fields == frozenset()


@pytest.mark.parametrize(
    ("not_found", "body", "error"),
    [
        ("none", b'{"type_name": "EntityNotFoundError"}', ApideckMisconfiguredError),
        ("named", b'{"type_name": "EntityNotFoundError"}', ConnectionNotFoundError),
        ("named", b'{"type_name": "RouteNotFoundError"}', ApideckMisconfiguredError),
        ("named", b"<html>", ApideckMisconfiguredError),
        ("all", b"<html>", ConnectionNotFoundError),
    ],
)
def test_the_meaning_of_a_404_depends_on_the_operation(
    not_found: NotFound, body: bytes, error: type[ApideckError]
) -> None:
    """A missing connection is not the operator's fault, but a wrong base URL is."""
    assert type(error_of(404, {}, body, not_found)) is error
    assert type(error_of(400, {}, body, not_found)) is ApideckRejectedRequestError


def test_a_missing_connection_has_a_reason() -> None:
    """The reason names the component that rejected it, and `errors` the invalid parameters."""
    by_apideck = error_of(404, {}, b"", "all")
    faults = [FieldError("/path/service_id", "There is no such connector.")]
    by_policy = connection_not_found("not on offer", faults)

    assert by_apideck.detail == by_policy.detail == "There is no such integration."
    assert by_apideck.reason == "no such connection: Apideck does not know it"
    assert by_policy.reason == "no such connection: not on offer"
    assert by_policy.errors == tuple(faults)


def test_running_out_of_descriptors_is_not_a_failure_of_apideck() -> None:
    """The caller can try again, and the reason tells the operator which limit to raise."""
    error = out_of_descriptors()

    assert (error.detail, error.retry_after) == (
        "There are too many requests right now. Try again shortly.",
        1,
    )
    assert error.reason == (
        "no file descriptor left for a connection to Apideck: raise the limit on open files of "
        "this process (ulimit -n)"
    )
