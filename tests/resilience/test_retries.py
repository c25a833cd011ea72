"""When Apideck is asked again, after how long and how often: on a clock that the tests turn."""

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from email.utils import format_datetime

import httpx
import pytest

from app.apideck.api_key import ApiKey
from app.apideck.client import ApideckClient
from app.apideck.error_mapping import too_slow
from app.apideck.exchange import Exchange
from app.apideck.models import MintedSession
from app.apideck.retries import Retries
from app.common.transport import AiohttpTransport
from app.errors import ApideckRateLimitedError, ApideckTimeoutError, ApideckUnavailableError
from app.observability.telemetry import Telemetry
from app.settings.apideck import ApideckSettings, RetrySettings
from app.vault import Session
from emulators.apideck import ApideckEmulator, faults
from emulators.apideck.emulator import API_KEY
from emulators.issuer import DevelopmentIssuer
from tests.support.http import bearer, problem
from tests.support.measured import counted, promptly
from tests.support.service import running, settings_for

DEADLINE_SECONDS = 60
LITTLE = 0.1 / 10
"""Seconds that chance adds to a Retry-After at most: a tenth of the first delay."""


class Clock:
    """Time that passes only where somebody waits.

    Attributes:
        now: seconds since 1970.
        slept: how long each wait took.
    """

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def time(self) -> float:
        """Tell the time."""
        return self.now

    monotonic = perf_counter = time

    async def sleep(self, seconds: float) -> None:
        """Wait, in no time."""
        await asyncio.sleep(0)
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Give Apideck's room this clock, and a chance that can be repeated."""
    clock = Clock()
    for module in ("client", "error_mapping", "retries"):
        monkeypatch.setattr(f"app.apideck.{module}.time", clock)
    monkeypatch.setattr("app.apideck.retries.asyncio", clock)
    monkeypatch.setattr("app.apideck.retries.random", random.Random(20261125))  # noqa: S311 - it keeps no secret
    return clock


@pytest.fixture
async def client(clock: Clock, apideck_url: str) -> AsyncIterator[ApideckClient]:
    """Return a client of the emulator's, on this clock."""
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


async def test_the_last_attempt_has_what_the_deadline_leaves(
    client: ApideckClient, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two whole attempts fit, the third is cut short, and there is no fourth."""
    given: list[float] = []

    async def no_answer(_: Exchange, __: str, ___: bytes, seconds: float) -> MintedSession:
        given.append(seconds)
        clock.now += seconds
        raise too_slow(seconds, answered=False)

    monkeypatch.setattr(Exchange, "create_session", no_answer)
    with pytest.raises(ApideckTimeoutError):
        await client.create_session("acme", Session())

    assert given == pytest.approx([25, 25, DEADLINE_SECONDS - 50 - sum(clock.slept)])
    assert clock.now == pytest.approx(1000 + DEADLINE_SECONDS)


def told(form: str, seconds: int) -> str:
    """Return a Retry-After of so many seconds, in either of its forms."""
    moment = datetime.fromtimestamp(1000 + seconds, UTC)
    return str(seconds) if form == "seconds" else format_datetime(moment, usegmt=True)


@pytest.mark.parametrize("form", ["seconds", "date"])
@pytest.mark.parametrize("seconds", [1, 50])
async def test_a_retry_after_is_waited_for(
    client: ApideckClient, clock: Clock, apideck: ApideckEmulator, form: str, seconds: int
) -> None:
    """Apideck is asked again no sooner than it said, and hardly later."""
    apideck.fail(faults.rate_limited(told(form, seconds)))

    await client.create_session("acme", Session())

    [slept] = clock.slept
    assert seconds <= slept <= seconds + LITTLE
    assert len(apideck.requests) == 2


@pytest.mark.parametrize("form", ["seconds", "date"])
async def test_a_retry_after_beyond_the_deadline_is_not_waited_for(
    client: ApideckClient, clock: Clock, apideck: ApideckEmulator, form: str
) -> None:
    """The caller hears of it at once, in seconds, and Apideck is not asked again."""
    apideck.fail(faults.rate_limited(told(form, DEADLINE_SECONDS)), times=None)

    with pytest.raises(ApideckRateLimitedError) as raised:
        await client.create_session("acme", Session())

    assert raised.value.retry_after == DEADLINE_SECONDS
    assert clock.slept == []
    assert len(apideck.requests) == 1


async def test_who_can_be_told_when_to_come_is_not_kept_for_an_attempt_that_is_cut_off(
    client: ApideckClient, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where one like the last would outlast the deadline, the caller hears of the Retry-After."""
    attempts: list[float] = []

    async def too_many(_: Exchange, __: str, ___: bytes, seconds: float) -> MintedSession:
        attempts.append(seconds)
        clock.now += 8
        error = ApideckRateLimitedError("", retry_after=20)
        error.transient = True
        raise error

    monkeypatch.setattr(Exchange, "create_session", too_many)
    with pytest.raises(ApideckRateLimitedError):
        await client.create_session("acme", Session())

    # At 0 and 28; the third would begin at 56, and end after the minute.
    assert len(attempts) == 2
    assert clock.now < 1000 + DEADLINE_SECONDS


@pytest.mark.parametrize("retry_after", [None, "7"], ids=["without-retry-after", "with-one"])
async def test_a_429_that_lasts_is_asked_three_times(
    issuer: DevelopmentIssuer,
    apideck: ApideckEmulator,
    apideck_url: str,
    clock: Clock,
    retry_after: str | None,
) -> None:
    """After three attempts the caller hears that it is too much, and when to come again."""
    apideck.fail(faults.rate_limited(retry_after), times=None)
    settings = settings_for(
        issuer.issuer, apideck_url, apideck={"deadline_seconds": DEADLINE_SECONDS}
    )
    async with running(settings) as service:
        with promptly(5):
            answer = await service.post("/vault-session", headers=bearer(issuer.token()))
        metrics = await counted(service)

    assert problem(answer) == (503, "apideck-rate-limited")
    assert answer.headers.get("retry-after") == retry_after
    assert len(apideck.requests) == 3
    assert apideck.minted == []
    assert metrics == {
        'requests_total{application="default",outcome="RateLimited"}': 3,
        'retries_total{application="default"}': 2,
    }
    asked_for, chance = (0, 0.2) if retry_after is None else (float(retry_after), 2 * LITTLE)
    assert len(clock.slept) == 2
    assert all(asked_for <= slept <= asked_for + chance for slept in clock.slept)


async def test_who_is_told_the_same_second_does_not_come_at_the_same_moment(
    client: ApideckClient, clock: Clock, apideck: ApideckEmulator
) -> None:
    """A little of chance is on top of what Apideck asked for."""
    for _ in range(5):
        apideck.fail(faults.rate_limited("1"))
        await client.create_session("acme", Session())

    assert len(set(clock.slept)) == 5
    assert all(1 <= slept <= 1 + LITTLE for slept in clock.slept)


async def test_chance_picks_each_delay_from_nothing_to_twice_the_last_bound(clock: Clock) -> None:
    """Over many failures the delays fill each range, up to the longest, and no two are the same."""
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


class Longest:
    """A chance that always picks the most."""

    @staticmethod
    def uniform(_: float, most: float) -> float:
        """Pick a number."""
        return most


@pytest.mark.parametrize(
    ("seconds", "retry_after", "slept"),
    [
        pytest.param(29.25, None, [0.25, 0.5], id="the-third-begins-just-before"),
        pytest.param(59.75, None, [], id="the-second-would-begin-at-the-deadline"),
        pytest.param(1, 1, [1.025, 1.05], id="a-tenth-of-chance-on-top"),
    ],
)
async def test_no_attempt_begins_at_the_deadline_and_each_before_it_does(
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    seconds: float,
    retry_after: float | None,
    slept: list[float],
) -> None:
    """Where nobody can be told when to come again, whatever time is left is made use of."""
    monkeypatch.setattr("app.apideck.retries.random", Longest)
    retries = Retries(RetrySettings(base_delay_seconds=0.25))
    failure = ApideckUnavailableError("", retry_after=retry_after)
    failure.transient = True

    async def attempt(_: int) -> None:
        clock.now += seconds
        raise failure

    with pytest.raises(ApideckUnavailableError):
        await retries.run(attempt, DEADLINE_SECONDS)

    assert clock.slept == pytest.approx(slept)


async def test_retries_stay_within_their_budget_with_the_breaker_out_of_the_way(
    issuer: DevelopmentIssuer, apideck: ApideckEmulator, apideck_url: str
) -> None:
    """In an outage that lasts Apideck sees a tenth more than the requests, and the reserve."""
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
        answers: list[httpx.Response] = [
            await service.post("/vault-session", headers=bearer(issuer.token()))
            for _ in range(requests)
        ]

    assert {problem(answer) for answer in answers} == {(503, "apideck-unavailable")}
    assert requests + reserve < len(apideck.requests) <= requests * 1.1 + reserve
