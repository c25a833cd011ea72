"""How many sessions a caller may ask for, and all callers together, over time."""

import hashlib

import structlog

from app.errors import OverloadedError, RateLimitedError
from app.identity.models import Caller
from app.limits.guarded import Store
from app.limits.memory import MemoryStore
from app.limits.models import Limit, Rate, RateLimitDecision, StoreFailedError, StoreNotAskedError
from app.observability.metrics import Metrics
from app.settings import LimitSettings

logger = structlog.get_logger(__name__)

_RETRY_AFTER_SECONDS = 1


class RateLimits:
    """Admits a caller's request, or does not."""

    def __init__(self, settings: LimitSettings, store: Store, metrics: Metrics) -> None:
        """Take the limits, and where to count.

        Args:
            settings: the limits, and what to do when the store fails.
            store: where requests are counted.
            metrics: is told of every refusal, and of every failure of the store.
        """
        self._rates = {
            "user": Rate.parse(settings.per_user),
            "service": Rate.parse(settings.per_service),
        }
        self._total = Rate.parse(settings.total)
        self._open = settings.when_store_fails == "open"
        self._store = store
        self._meanwhile = MemoryStore()
        self._metrics = metrics
        self._failing = False

    async def admit(self, caller: Caller) -> RateLimitDecision:
        """Count one request of a caller's.

        Returns:
            Whether it is admitted and where the caller stands: nowhere, where no limit is set.
            While the store fails and the operator chose to go on, this process counts by itself.

        Raises:
            OverloadedError: the store has failed, and the operator chose to refuse then.
        """
        limits = self._limits(caller)
        if not limits:
            return RateLimitDecision(admitted=True, statuses=())
        try:
            decision = await self._store.admit(limits)
        except StoreFailedError as error:
            self._on_failure(error)
            decision = await self._meanwhile.admit(limits)
        else:
            self._on_success()
        if not decision.admitted:
            self._metrics.rate_limited.labels(decision.strictest.limit.policy).inc()
        return decision

    def _limits(self, caller: Caller) -> list[Limit]:
        limits = []
        own = self._rates[caller.kind]
        if own is not None:
            # A digest, because the store may be shared, and who the caller is is not its business.
            digest = hashlib.sha256(repr(caller.identity).encode()).hexdigest()
            limits.append(Limit(caller.kind, digest, own))
        if self._total is not None:
            limits.append(Limit("total", "all", self._total))
        return limits

    def _on_success(self) -> None:
        if self._failing:
            self._failing = False
            logger.info("limit_store_recovered")

    def _on_failure(self, error: StoreFailedError) -> None:
        self._metrics.limit_store_failures.inc()
        if not isinstance(error, StoreNotAskedError) and not self._failing:
            self._failing = True
            logger.error(
                "limit_store_failed",
                error=str(error),
                requests="are counted by each process" if self._open else "are refused",
            )
        if not self._open:
            raise OverloadedError(
                "Sessions cannot be handed out just now; try again shortly.",
                reason=f"the store of the rate limits has failed: {error}",
                retry_after=_RETRY_AFTER_SECONDS,
            ) from None


def refusal(decision: RateLimitDecision) -> RateLimitedError:
    """Return the error for a request that was not admitted."""
    strictest = decision.strictest
    return RateLimitedError(
        "Sessions are asked for too often; try again later.",
        reason=f"beyond the limit named {strictest.limit.policy}",
        retry_after=strictest.retry_after,
    )
