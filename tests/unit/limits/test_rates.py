"""For whom requests are counted, and what becomes of them when the store does not count."""

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
    StoreNotAskedError,
)
from app.limits.rates import RateLimits, refusal
from app.observability.metrics import Metrics
from app.settings import LimitSettings

ADA = Caller("user", "main", "ada", "acme")
JOBS = Caller("service", "jobs", "job", None)
ADMITTED = RateLimitDecision(admitted=True, statuses=())


class Store(MemoryStore):
    """A store that fails when it is told to.

    Attributes:
        error: what it raises, if anything.
        asked: the limits of each request.
    """

    def __init__(self) -> None:
        super().__init__(clock=lambda: 1000.0)
        self.error: StoreFailedError | None = None
        self.asked: list[Sequence[Limit]] = []

    async def admit(self, limits: Sequence[Limit]) -> RateLimitDecision:
        """Count one request, or fail."""
        self.asked.append(limits)
        if self.error is not None:
            raise self.error
        return await super().admit(limits)


class Scene:
    """Rate limits on a store of their own."""

    def __init__(self, **settings: str) -> None:
        self.store = Store()
        self.metrics = Metrics()
        limits = LimitSettings.model_validate(settings)
        self.rates = RateLimits(limits, self.store, self.metrics)

    async def limits_of(self, caller: Caller) -> list[tuple[str, Rate]]:
        """Return the limits that a request of this caller's is counted for."""
        decision = await self.rates.admit(caller)
        return [(one.limit.policy, one.limit.rate) for one in decision.statuses]

    async def key_of(self, caller: Caller) -> str:
        """Return the key that a caller's requests are counted under."""
        await self.rates.admit(caller)
        return self.store.asked[-1][0].key

    def seen(self, name: str, **labels: str) -> float | None:
        """Return what a metric says."""
        return self.metrics.registry.get_sample_value(f"vault_bff_{name}_total", labels)


async def test_each_kind_of_caller_has_a_limit_of_its_own_and_all_share_the_total() -> None:
    """A service is not counted as a person, nor a person as a service."""
    scene = Scene(per_user="3/minute", per_service="20/second", total="500/day")
    total = ("total", Rate(500, 86_400))

    assert await scene.limits_of(ADA) == [("user", Rate(3, 60)), total]
    assert await scene.limits_of(JOBS) == [("service", Rate(20, 1)), total]
    keys = [one.key for limits in scene.store.asked for one in limits]
    assert keys[1] == keys[3] == "all"


async def test_a_limit_that_is_not_set_is_not_counted_for() -> None:
    """Where none is set, the store is not even asked."""
    scene = Scene(per_user="unlimited", per_service="3/hour", total="unlimited")

    assert await scene.rates.admit(ADA) == ADMITTED
    assert scene.store.asked == []
    assert await scene.limits_of(JOBS) == [("service", Rate(3, 3600))]


async def test_callers_are_told_apart_by_identity_and_the_store_cannot_tell_who_they_are() -> None:
    """For whom they ask is no other caller; and a key is a digest, the same in every process."""
    scene = Scene()
    others = [
        replace(ADA, kind="service"),
        replace(ADA, issuer="other"),
        replace(ADA, subject="grace"),
        replace(ADA, actor="help"),
    ]
    key = await scene.key_of(ADA)
    keys = {key, *[await scene.key_of(one) for one in others]}

    assert len(keys) == 5
    assert await scene.key_of(replace(ADA, consumer_id="other")) == key
    assert key == "812ee5cbc9ff5259f4aa73d82e423248b8616a71040b1a03abdce42435ff646c"


async def test_who_is_beyond_a_limit_is_counted_under_its_name() -> None:
    """The name is that of the limit that holds them up for longest; who is admitted is not."""
    scene = Scene(per_user="3/minute", total="4/minute")
    admitted = [(await scene.rates.admit(ADA)).admitted for _ in range(5)]
    admitted += [(await scene.rates.admit(JOBS)).admitted for _ in range(2)]

    assert admitted == [True, True, True, False, False, True, False]
    assert scene.seen("rate_limited", policy="user") == 2
    assert scene.seen("rate_limited", policy="total") == 1
    assert scene.seen("rate_limited", policy="service") == 0
    assert scene.seen("rate_limit_store_failures") == 0


async def test_this_process_counts_while_the_store_fails_and_says_so_once() -> None:
    """Each failure is counted; the log has one line when it begins, and one when it is over."""
    scene = Scene(per_user="2/day")
    with capture_logs() as logs:
        await scene.rates.admit(ADA)
        assert logs == []
        for _ in range(2):
            scene.store.error = StoreFailedError("too slow")
            for _ in range(3):
                await scene.rates.admit(ADA)
            scene.store.error = None
            for _ in range(2):
                await scene.rates.admit(ADA)

    assert scene.seen("rate_limit_store_failures") == 6
    failed = {
        "event": "limit_store_failed",
        "error": "too slow",
        "requests": "are counted by each process",
        "log_level": "error",
    }
    assert logs == [failed, {"event": "limit_store_recovered", "log_level": "info"}] * 2


async def test_while_the_store_fails_a_whole_quota_is_admitted_by_this_process() -> None:
    """What the store had counted before is not known here."""
    scene = Scene(per_user="2/day")
    for _ in range(3):
        await scene.rates.admit(ADA)
    scene.store.error = StoreFailedError("too slow")
    decisions = [await scene.rates.admit(ADA) for _ in range(3)]

    assert [one.admitted for one in decisions] == [True, True, False]
    assert scene.seen("rate_limited", policy="user") == 2


async def test_a_store_that_is_left_alone_has_failed_but_is_no_news() -> None:
    """Only what made it be left alone is logged."""
    scene = Scene()
    scene.store.error = StoreNotAskedError("not asked")
    with capture_logs() as logs:
        assert (await scene.rates.admit(ADA)).admitted
        scene.store.error = None
        await scene.rates.admit(ADA)

    assert logs == []
    assert scene.seen("rate_limit_store_failures") == 1


async def test_requests_that_nobody_counts_are_refused_where_the_operator_chose_so() -> None:
    """The caller is told when to come again, and the operator what has failed."""
    scene = Scene(when_store_fails="closed")
    scene.store.error = StoreFailedError("too slow")
    with capture_logs() as logs, pytest.raises(OverloadedError) as raised:
        await scene.rates.admit(ADA)

    error = raised.value
    assert error.detail == "Sessions cannot be handed out just now; try again shortly."
    assert error.reason == "the store of the rate limits has failed: too slow"
    assert error.retry_after == 1
    assert [one["requests"] for one in logs] == ["are refused"]
    assert scene.seen("rate_limit_store_failures") == 1


def test_a_refusal_tells_when_to_come_again_and_which_limit_it_was() -> None:
    """Of several limits, the one that holds the caller up for longest."""
    user = QuotaStatus(Limit("user", "ada", Rate(3, 3600)), until_whole=3600)
    total = QuotaStatus(Limit("total", "all", Rate(60, 60)), until_whole=60)
    error = refusal(RateLimitDecision(admitted=False, statuses=(total, user)))

    assert error.detail == "Sessions are asked for too often; try again later."
    assert error.reason == "beyond the limit named user"
    assert error.retry_after == 1200
