"""Which limits a request is counted against, and what happens when the store fails."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from app.errors import OverloadedError
from app.identity.models import Caller
from app.limits.memory import MemoryStore
from app.limits.models import (
    Limit,
    QuotaStatus,
    Rate,
    RateLimitDecision,
    StoreFailedError,
    StoreSkippedError,
)
from app.limits.rates import RateLimits, refusal
from app.observability.metrics import Metrics
from app.settings import LimitSettings

ADA = Caller("user", "main", "ada", "acme")
JOBS = Caller("service", "jobs", "job", None)
ADMITTED = RateLimitDecision(admitted=True, statuses=())


class Store(MemoryStore):
    """A store that fails on demand.

    Attributes:
        error: the error that it raises, if any.
        requests: the limits of each request.
    """

    def __init__(self) -> None:
        super().__init__(clock=lambda: 1000.0)
        self.error: StoreFailedError | None = None
        self.requests: list[Sequence[Limit]] = []

    async def admit(self, limits: Sequence[Limit]) -> RateLimitDecision:
        """Count one request, or fail."""
        self.requests.append(limits)
        if self.error is not None:
            raise self.error
        return await super().admit(limits)


class Harness:
    """Rate limits with their own store."""

    def __init__(self, **settings: str) -> None:
        self.store = Store()
        self.metrics = Metrics()
        limits = LimitSettings.model_validate(settings)
        self.rates = RateLimits(limits, self.store, self.metrics)

    async def limits_of(self, caller: Caller) -> list[tuple[str, Rate]]:
        """Return the limits that a request of this caller is counted against."""
        decision = await self.rates.admit(caller)
        return [(one.limit.policy, one.limit.rate) for one in decision.statuses]

    async def key_of(self, caller: Caller) -> str:
        """Return the key under which a caller's requests are counted."""
        await self.rates.admit(caller)
        return self.store.requests[-1][0].key

    def metric(self, name: str, **labels: str) -> float | None:
        """Return the value of a counter."""
        return self.metrics.registry.get_sample_value(f"vault_bff_{name}_total", labels)


async def test_each_kind_of_caller_has_its_own_limit_and_all_share_the_total() -> None:
    """Users and services are counted separately."""
    harness = Harness(per_user="3/minute", per_service="20/second", total="500/day")
    total = ("total", Rate(500, 86_400))

    assert await harness.limits_of(ADA) == [("user", Rate(3, 60)), total]
    assert await harness.limits_of(JOBS) == [("service", Rate(20, 1)), total]
    keys = [one.key for limits in harness.store.requests for one in limits]
    assert keys[1] == keys[3] == "all"


async def test_an_unlimited_caller_is_not_counted() -> None:
    """If no limit applies, the store is not called."""
    harness = Harness(per_user="unlimited", per_service="3/hour", total="unlimited")

    assert await harness.rates.admit(ADA) == ADMITTED
    assert harness.store.requests == []
    assert await harness.limits_of(JOBS) == [("service", Rate(3, 3600))]


async def test_callers_are_counted_by_a_digest_of_their_identity() -> None:
    """The consumer is not part of the identity, and the digest is the same in every release."""
    harness = Harness()
    others = [
        replace(ADA, kind="service"),
        replace(ADA, issuer="other"),
        replace(ADA, subject="grace"),
        replace(ADA, actor="help"),
    ]
    key = await harness.key_of(ADA)
    keys = {key, *[await harness.key_of(one) for one in others]}

    assert len(keys) == 5
    assert await harness.key_of(replace(ADA, consumer_id="other")) == key
    assert key == "812ee5cbc9ff5259f4aa73d82e423248b8616a71040b1a03abdce42435ff646c"


async def test_rejections_are_counted_by_the_name_of_the_limit() -> None:
    """Only the limit with the longest delay is counted; admitted requests are not counted."""
    harness = Harness(per_user="3/minute", total="4/minute")
    admitted = [(await harness.rates.admit(ADA)).admitted for _ in range(5)]
    admitted += [(await harness.rates.admit(JOBS)).admitted for _ in range(2)]

    assert admitted == [True, True, True, False, False, True, False]
    assert harness.metric("rate_limited", policy="user") == 2
    assert harness.metric("rate_limited", policy="total") == 1
    assert harness.metric("rate_limited", policy="service") == 0
    assert harness.metric("rate_limit_store_failures") == 0


async def test_each_process_counts_while_the_store_fails_and_logs_it_once() -> None:
    """Each failure is counted; the log has one line at the first failure and one at recovery."""
    harness = Harness(per_user="2/day")
    with capture_logs() as logs:
        await harness.rates.admit(ADA)
        assert logs == []
        for _ in range(2):
            harness.store.error = StoreFailedError("redis:6379: ReadOnlyError")
            for _ in range(3):
                await harness.rates.admit(ADA)
            harness.store.error = None
            for _ in range(2):
                await harness.rates.admit(ADA)

    assert harness.metric("rate_limit_store_failures") == 6
    failed = {
        "event": "limit_store_failed",
        "error": "redis:6379: ReadOnlyError",
        "requests": "are counted by each process",
        "log_level": "error",
    }
    assert logs == [failed, {"event": "limit_store_recovered", "log_level": "info"}] * 2


async def test_each_process_admits_a_full_quota_while_the_store_fails() -> None:
    """The process does not know what the store has counted before."""
    harness = Harness(per_user="2/day")
    for _ in range(3):
        await harness.rates.admit(ADA)
    harness.store.error = StoreFailedError("redis:6379: ReadOnlyError")
    decisions = [await harness.rates.admit(ADA) for _ in range(3)]

    assert [one.admitted for one in decisions] == [True, True, False]
    assert harness.metric("rate_limited", policy="user") == 2


async def test_a_skipped_store_is_counted_as_failed_but_not_logged() -> None:
    """Only the failures that opened the breaker are logged."""
    harness = Harness()
    harness.store.error = StoreSkippedError("redis:6379: not called")
    with capture_logs() as logs:
        assert (await harness.rates.admit(ADA)).admitted
        harness.store.error = None
        await harness.rates.admit(ADA)

    assert logs == []
    assert harness.metric("rate_limit_store_failures") == 1


async def test_requests_are_rejected_while_the_store_fails_closed() -> None:
    """The caller gets a time to retry, and the reason tells the operator the cause."""
    harness = Harness(when_store_fails="closed")
    harness.store.error = StoreFailedError("redis:6379: ReadOnlyError")
    with capture_logs() as logs, pytest.raises(OverloadedError) as raised:
        await harness.rates.admit(ADA)

    error = raised.value
    assert error.detail == "The service cannot respond at the moment. Try again shortly."
    assert error.reason == "the rate limit store has failed: redis:6379: ReadOnlyError"
    assert error.retry_after == 1
    assert [one["requests"] for one in logs] == ["are refused"]
    assert harness.metric("rate_limit_store_failures") == 1


def test_a_rejection_has_a_time_to_retry_and_the_name_of_the_limit() -> None:
    """If several limits apply, it is the limit with the longest delay."""
    user = QuotaStatus(Limit("user", "ada", Rate(3, 3600)), until_full=3600)
    total = QuotaStatus(Limit("total", "all", Rate(60, 60)), until_full=60)
    error = refusal(RateLimitDecision(admitted=False, statuses=(total, user)))

    assert error.detail == "Too many requests were sent. Try again later."
    assert error.reason == "exceeds the user limit"
    assert error.retry_after == 1200


async def test_requests_for_connections_are_counted_separately() -> None:
    """They have their own limits and keys, so neither kind uses up the quota of the other."""
    harness = Harness(per_user="1/minute", total="9/minute")
    connections = LimitSettings().connections.model_copy(update={"total": "7/day"})
    settings = LimitSettings(per_user="1/minute", total="9/minute", connections=connections)
    harness.rates = RateLimits(settings, harness.store, harness.metrics)

    await harness.rates.admit(ADA)
    decision = await harness.rates.admit(ADA, "connections")
    consumer = await harness.rates.admit_consumer("default", "acme")

    assert decision.admitted
    assert [(one.limit.policy, one.limit.rate) for one in decision.statuses] == [
        ("connections-user", Rate(60, 60)),
        ("connections-total", Rate(7, 86_400)),
    ]
    assert [(one.limit.policy, one.limit.rate) for one in consumer.statuses] == [
        ("connections-consumer", Rate(120, 60))
    ]
    keys = [one.key for limits in harness.store.requests for one in limits]
    assert len(set(keys)) == 5
    assert "acme" not in str(keys)


async def test_consumers_are_counted_by_unify_app() -> None:
    """The same id in a different Unify app is a different consumer."""
    harness = Harness()

    await harness.rates.admit_consumer("default", "acme")
    await harness.rates.admit_consumer("eu", "acme")
    await harness.rates.admit_consumer("default", "globex")

    assert len({limits[0].key for limits in harness.store.requests}) == 3


async def test_an_unlimited_consumer_is_not_counted() -> None:
    """The store is not called."""
    harness = Harness()
    unlimited = {"connections": {"per_consumer": "unlimited"}}
    settings = LimitSettings.model_validate(unlimited)
    harness.rates = RateLimits(settings, harness.store, harness.metrics)

    assert await harness.rates.admit_consumer("default", "acme") == ADMITTED
    assert harness.store.requests == []
