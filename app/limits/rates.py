"""Limits on what a caller, and all callers together, may request over time."""

import hashlib
from typing import NamedTuple, Self

import structlog

from ..errors import OverloadedError, RateLimitedError
from ..identity.models import Caller
from ..observability.audit import Resource
from ..observability.metrics import Metrics
from ..settings import LimitSettings
from ..settings.limits import ConnectionLimits
from .guarded import Store
from .memory import MemoryStore
from .models import Limit, Rate, RateLimitDecision, StoreFailedError, StoreSkippedError

logger = structlog.get_logger(__name__)

_RETRY_AFTER_SECONDS = 1


class _Rates(NamedTuple):
    user: Rate | None
    service: Rate | None
    total: Rate | None

    @classmethod
    def of(cls, settings: LimitSettings | ConnectionLimits) -> Self:
        return cls(*map(Rate.parse, (settings.per_user, settings.per_service, settings.total)))


class RateLimits:
    """Counts each request against the limits of its caller, and admits or rejects it.

    Attributes:
        shared: whether other processes count in the same store.
        store_failing: whether the last request that was counted found the store failing.
    """

    def __init__(self, settings: LimitSettings, store: Store, metrics: Metrics) -> None:
        """Create the rate limits.

        Args:
            settings: the limits, and what to do when the store fails.
            store: counts requests.
            metrics: counts rejections, and failures of the store.
        """
        self._rates = {
            "sessions": _Rates.of(settings),
            "connections": _Rates.of(settings.connections),
        }
        self._per_consumer = Rate.parse(settings.connections.per_consumer)
        self._fails_open = settings.when_store_fails == "open"
        self._store = store
        self.shared = not isinstance(store, MemoryStore)
        self._fallback = MemoryStore()
        self._metrics = metrics
        self.store_failing = False

    async def admit(self, caller: Caller, resource: Resource = "sessions") -> RateLimitDecision:
        """Count one request of a caller.

        Args:
            caller: the caller.
            resource: what they request. Requests for connections have their own limits, so that
                a page that polls does not use up the quota for sessions.

        Returns:
            Whether it is admitted, and the caller's state within each limit. While the store fails
            and the operator chose `open`, this process counts by itself.

        Raises:
            OverloadedError: the store has failed, and the operator chose `closed`.
        """
        return await self._count(self._limits(caller, resource))

    async def admit_consumer(self, unify_app: str, consumer_id: str) -> RateLimitDecision:
        """Count one request for the connections of a consumer.

        Args:
            unify_app: the operator's name of the Unify app.
            consumer_id: the consumer.

        Returns:
            Whether it is admitted, and the caller's state within each limit. While the store fails
            and the operator chose `open`, this process counts by itself.

        Raises:
            OverloadedError: the store has failed, and the operator chose `closed`.
        """
        limit = self._per_consumer
        key = f"connections:consumer:{_digest((unify_app, consumer_id))}"
        return await self._count([Limit("connections-consumer", key, limit)] if limit else [])

    async def _count(self, limits: list[Limit]) -> RateLimitDecision:
        if not limits:
            return RateLimitDecision(admitted=True, statuses=())
        try:
            decision = await self._store.admit(limits)
        except StoreFailedError as error:
            self._on_failure(error)
            decision = await self._fallback.admit(limits)
        else:
            self._on_success()
        if not decision.admitted:
            self._metrics.rate_limited.labels(decision.strictest.limit.policy).inc()
        return decision

    def _limits(self, caller: Caller, resource: Resource) -> list[Limit]:
        limits = []
        rates = self._rates[resource]
        policy, key = ("", "") if resource == "sessions" else (f"{resource}-", f"{resource}:")
        own = rates.user if caller.kind == "user" else rates.service
        if own is not None:
            limits.append(Limit(policy + caller.kind, key + _digest(caller.identity), own))
        if rates.total is not None:
            limits.append(Limit(f"{policy}total", f"{key}all", rates.total))
        return limits

    def _on_success(self) -> None:
        if self.store_failing:
            self.store_failing = False
            logger.info("limit_store_recovered")

    def _on_failure(self, error: StoreFailedError) -> None:
        self._metrics.limit_store_failures.inc()
        if not isinstance(error, StoreSkippedError) and not self.store_failing:
            self.store_failing = True
            logger.error(
                "limit_store_failed",
                error=str(error),
                requests="are counted by each process" if self._fails_open else "are refused",
            )
        if not self._fails_open:
            raise OverloadedError(
                "The service cannot respond at the moment. Try again shortly.",
                reason=f"the rate limit store has failed: {error}",
                retry_after=_RETRY_AFTER_SECONDS,
            ) from None


def _digest(key: object) -> str:
    """Return a digest: others may read the store, and must not learn who the callers are."""
    return hashlib.sha256(repr(key).encode()).hexdigest()


def refusal(decision: RateLimitDecision) -> RateLimitedError:
    """Return the error for a request that was not admitted."""
    strictest = decision.strictest
    return RateLimitedError(
        "Too many requests were sent. Try again later.",
        reason=f"exceeds the {strictest.limit.policy} limit",
        retry_after=strictest.retry_after,
    )
