"""The times and the number of retries of requests to Apideck, with a clock that tests set."""

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import httpx
import pytest

from app.apideck.api_key import ApiKey
from app.apideck.client import ApideckClient
from app.apideck.error_mapping import timed_out
from app.apideck.exchange import Exchange
from app.apideck.models import MintedSession
from app.apideck.retries import Retries
from app.apideck.sessions import create_session
from app.common.transport import AiohttpTransport
from app.errors import ApideckRateLimitedError, ApideckTimeoutError, ApideckUnavailableError
from app.observability.telemetry import Telemetry
from app.settings.apideck import ApideckSettings, RetrySettings
from app.vault import Session
from emulators.apideck import ApideckEmulator, faults
from emulators.apideck.emulator import API_KEY
from emulators.issuer import DevelopmentIssuer
from tests.support.http import bearer, problem
from tests.support.measured import apideck_metrics, sessions_requested, takes_less_than
from tests.support.service import running, settings_for

DEADLINE_SECONDS = 60
JITTER_SECONDS = 0.1 / 10
"""Longest jitter on top of a Retry-After: a tenth of the first delay."""


class Clock:
    """A clock that advances only when the code under test sleeps.

    Attributes:
        now: seconds since 1970.
        slept: the seconds of each sleep.
    """

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def time(self) -> float:
        """Return the time."""
        return self.now

    monotonic = perf_counter = time

    async def sleep(self, seconds: float) -> None:
        """Advance the clock."""
        await asyncio.sleep(0)
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Replace the clock of the package `apideck`, and make its jitter reproducible."""
    clock = Clock()
    for module in ("client", "error_mapping", "retries"):
        monkeypatch.setattr(f"app.apideck.{module}.time", clock)
    monkeypatch.setattr("app.apideck.retries.asyncio", clock)
    monkeypatch.setattr("app.apideck.retries.random", random.Random(20261125))  # noqa: S311 - not for secrets
    return clock


@pytest.fixture
async def client(clock: Clock, apideck_url: str) -> AsyncIterator[ApideckClient]:
    """Return a client of the emulator, with this clock."""
    assert clock.slept == []
    settings = ApideckSettings.model_validate(
        {
            "api_key": API_KEY,
            "app_id": "app",
            "base_url": apideck_url,
            "vault_origins": [apideck_url],
            "deadline_seconds": DEADLINE_SECONDS,
            "attempt_timeout_seconds": 25,
            "retries": {"max_attempts": 10},
        }
    )
    key = ApiKey("default", settings.all_unify_apps()["default"], lambda _: None)
    async with AiohttpTransport() as transport:
        yield ApideckClient("default", settings, key, transport, Telemetry())


async def test_the_last_attempt_gets_the_rest_of_the_deadline(
    client: ApideckClient, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two attempts get the full timeout, the third gets the rest, and there is no fourth."""
    timeouts: list[float] = []

    async def no_response(_: Exchange, *arguments: Any) -> MintedSession:
        seconds = arguments[-1]
        timeouts.append(seconds)
        clock.now += seconds
        raise timed_out(seconds, headers_received=False)

    monkeypatch.setattr(Exchange, "send", no_response)
    with pytest.raises(ApideckTimeoutError):
        await create_session(client, "acme", Session())

    assert timeouts == pytest.approx([25, 25, DEADLINE_SECONDS - 50 - sum(clock.slept)])
    assert clock.now == pytest.approx(1000 + DEADLINE_SECONDS)


def retry_after(form: str, seconds: int) -> str:
    """Return a Retry-After header as seconds or as a date."""
    moment = datetime.fromtimestamp(1000 + seconds, UTC)
    return str(seconds) if form == "seconds" else format_datetime(moment, usegmt=True)


@pytest.mark.parametrize("form", ["seconds", "date"])
@pytest.mark.parametrize("seconds", [1, 50])
async def test_a_retry_waits_for_the_retry_after(
    client: ApideckClient, clock: Clock, apideck: ApideckEmulator, form: str, seconds: int
) -> None:
    """The retry is sent when Retry-After has passed, with a small jitter."""
    apideck.fail(faults.rate_limited(retry_after(form, seconds)))

    await create_session(client, "acme", Session())

    [slept] = clock.slept
    assert seconds <= slept <= seconds + JITTER_SECONDS
    assert len(apideck.requests) == 2


@pytest.mark.parametrize("form", ["seconds", "date"])
async def test_a_retry_after_beyond_the_deadline_is_returned_to_the_caller(
    client: ApideckClient, clock: Clock, apideck: ApideckEmulator, form: str
) -> None:
    """The caller gets the Retry-After immediately, in seconds, and there is no retry."""
    apideck.fail(faults.rate_limited(retry_after(form, DEADLINE_SECONDS)), times=None)

    with pytest.raises(ApideckRateLimitedError) as raised:
        await create_session(client, "acme", Session())

    assert raised.value.retry_after == DEADLINE_SECONDS
    assert clock.slept == []
    assert len(apideck.requests) == 1


async def test_no_retry_is_made_that_the_deadline_would_cut_short(
    client: ApideckClient, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After Retry-After, an attempt as long as the last one would end after the deadline."""
    attempts: list[float] = []

    async def rate_limited(_: Exchange, *arguments: Any) -> MintedSession:
        attempts.append(arguments[-1])
        clock.now += 8
        error = ApideckRateLimitedError("", retry_after=20)
        error.transient = True
        raise error

    monkeypatch.setattr(Exchange, "send", rate_limited)
    with pytest.raises(ApideckRateLimitedError):
        await create_session(client, "acme", Session())

    # At 0 and 28 seconds; the third would start at 56 seconds, and end after the deadline.
    assert len(attempts) == 2
    assert clock.now < 1000 + DEADLINE_SECONDS


@pytest.mark.parametrize("header", [None, "7"], ids=["without-retry-after", "with-retry-after"])
async def test_a_permanent_429_takes_three_attempts(
    issuer: DevelopmentIssuer,
    apideck: ApideckEmulator,
    apideck_url: str,
    clock: Clock,
    header: str | None,
) -> None:
    """After three attempts the caller gets a 503, with Apideck's Retry-After if it sent one."""
    apideck.fail(faults.rate_limited(header), times=None)
    settings = settings_for(
        issuer.issuer, apideck_url, apideck={"deadline_seconds": DEADLINE_SECONDS}
    )
    async with running(settings) as service:
        with takes_less_than(5):
            response = await service.post("/vault-session", headers=bearer(issuer.token()))
        metrics = await apideck_metrics(service)

    assert problem(response) == (503, "apideck-rate-limited")
    assert response.headers.get("retry-after") == header
    assert len(apideck.requests) == 3
    assert apideck.minted == []
    assert metrics == {
        sessions_requested("RateLimited"): 3,
        'retries_total{application="default"}': 2,
    }
    shortest, jitter = (0, 0.2) if header is None else (float(header), 2 * JITTER_SECONDS)
    assert len(clock.slept) == 2
    assert all(shortest <= slept <= shortest + jitter for slept in clock.slept)


async def test_requests_with_the_same_retry_after_are_retried_at_different_times(
    client: ApideckClient, clock: Clock, apideck: ApideckEmulator
) -> None:
    """A jitter is added to the Retry-After."""
    for _ in range(5):
        apideck.fail(faults.rate_limited("1"))
        await create_session(client, "acme", Session())

    assert len(set(clock.slept)) == 5
    assert all(1 <= slept <= 1 + JITTER_SECONDS for slept in clock.slept)


async def test_delays_are_random_up_to_a_bound_that_doubles(clock: Clock) -> None:
    """In 50 runs the delays of each attempt cover the range up to its bound, and all differ."""
    settings = RetrySettings(max_attempts=5, max_delay_seconds=0.3, budget_reserve=1000)
    retries = Retries(settings)
    failure = ApideckUnavailableError("")
    failure.transient = True

    async def attempt(_: int) -> None:
        raise failure

    for _ in range(50):
        with pytest.raises(ApideckUnavailableError):
            await retries.run(attempt, DEADLINE_SECONDS)

    assert len(clock.slept) == len(set(clock.slept)) == 50 * 4
    for number, bound in enumerate([0.1, 0.2, 0.3, 0.3]):
        delays = clock.slept[number::4]
        assert 0 <= min(delays) < 0.2 * bound
        assert 0.8 * bound < max(delays) <= bound


class LongestJitter:
    """Replaces `random`, and always returns the largest number."""

    @staticmethod
    def uniform(_: float, upper: float) -> float:
        """Return the upper bound."""
        return upper


@pytest.mark.parametrize(
    ("seconds", "retry_after", "slept"),
    [
        pytest.param(29.25, None, [0.25, 0.5], id="third-starts-just-before-the-deadline"),
        pytest.param(59.75, None, [], id="second-would-start-at-the-deadline"),
        pytest.param(1, 1, [1.025, 1.05], id="retry-after-and-a-tenth-of-the-jitter"),
    ],
)
async def test_the_last_attempt_begins_before_the_deadline(
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    seconds: float,
    retry_after: float | None,
    slept: list[float],
) -> None:
    """Without a Retry-After, an attempt starts as long as any time is left."""
    monkeypatch.setattr("app.apideck.retries.random", LongestJitter)
    retries = Retries(RetrySettings(base_delay_seconds=0.25))
    failure = ApideckUnavailableError("", retry_after=retry_after)
    failure.transient = True

    async def attempt(_: int) -> None:
        clock.now += seconds
        raise failure

    with pytest.raises(ApideckUnavailableError):
        await retries.run(attempt, DEADLINE_SECONDS)

    assert clock.slept == pytest.approx(slept)


async def test_retries_stay_within_their_budget_without_the_breaker(
    issuer: DevelopmentIssuer, apideck: ApideckEmulator, apideck_url: str
) -> None:
    """In a long outage at most a tenth of the requests, plus the reserve, are retried."""
    requests, reserve = 200, 10
    apideck.fail(faults.error(503), times=None)
    settings = settings_for(
        issuer.issuer,
        apideck_url,
        apideck={
            "retries": {"base_delay_seconds": 0.001, "budget_reserve": reserve},
            "breaker": {"min_requests": 10_000},
        },
        limits={"per_user": "unlimited"},
    )
    async with running(settings) as service:
        responses: list[httpx.Response] = [
            await service.post("/vault-session", headers=bearer(issuer.token()))
            for _ in range(requests)
        ]

    assert {problem(response) for response in responses} == {(503, "apideck-unavailable")}
    assert requests + reserve < len(apideck.requests) <= requests * 1.1 + reserve
