"""Limits on the sessions that a caller, and all callers together, may request over time."""

import hashlib

import structlog

from app.errors import OverloadedError, RateLimitedError
from app.identity.models import Caller
from app.limits.guarded import Store
from app.limits.memory import MemoryStore
from app.limits.models import Limit, Rate, RateLimitDecision, StoreFailedError, StoreSkippedError
from app.observability.metrics import Metrics
from app.settings import LimitSettings

logger = structlog.get_logger(__name__)

_RETRY_AFTER_SECONDS = 1


class RateLimits:
    """Counts each request against the limits of its caller, and admits or rejects it."""

    def __init__(self, settings: LimitSettings, store: Store, metrics: Metrics) -> None:
        """Take the limits, and the store that counts.

        Args:
            settings: the limits, and what to do when the store fails.
            store: counts requests.
            metrics: counts rejections, and failures of the store.
        """
        self._rates = {
            "user": Rate.parse(settings.per_user),
            "service": Rate.parse(settings.per_service),
        }
        self._total = Rate.parse(settings.total)
        self._fails_open = settings.when_store_fails == "open"
        self._store = store
        self._fallback = MemoryStore()
        self._metrics = metrics
        self._store_failing = False

    async def admit(self, caller: Caller) -> RateLimitDecision:
        """Count one request of a caller.

        Returns:
            Whether it is admitted, and the caller's state within each limit. While the store fails
            and the operator chose `open`, this process counts by itself.

        Raises:
            OverloadedError: the store has failed, and the operator chose `closed`.
        """
        limits = self._limits(caller)
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

    def _limits(self, caller: Caller) -> list[Limit]:
        limits = []
        own = self._rates[caller.kind]
        if own is not None:
            # A digest, because others may read the store, and must not learn who the callers are.
            digest = hashlib.sha256(repr(caller.identity).encode()).hexdigest()
            limits.append(Limit(caller.kind, digest, own))
        if self._total is not None:
            limits.append(Limit("total", "all", self._total))
        return limits

    def _on_success(self) -> None:
        if self._store_failing:
            self._store_failing = False
            logger.info("limit_store_recovered")

    def _on_failure(self, error: StoreFailedError) -> None:
        self._metrics.limit_store_failures.inc()
        if not isinstance(error, StoreSkippedError) and not self._store_failing:
            self._store_failing = True
            logger.error(
                "limit_store_failed",
                error=str(error),
                requests="are counted by each process" if self._fails_open else "are refused",
            )
        if not self._fails_open:
            raise OverloadedError(
                "No sessions can be created at the moment. Try again shortly.",
                reason=f"the rate limit store has failed: {error}",
                retry_after=_RETRY_AFTER_SECONDS,
            ) from None


def refusal(decision: RateLimitDecision) -> RateLimitedError:
    """Return the error for a request that was not admitted."""
    strictest = decision.strictest
    return RateLimitedError(
        "Too many sessions were requested. Try again later.",
        reason=f"exceeds the {strictest.limit.policy} limit",
        retry_after=strictest.retry_after,
    )
