"""How many sessions a caller may ask for, and all callers together, over time."""

import asyncio
import hashlib
from collections.abc import Sequence
from typing import Protocol

import structlog

from app.circuit_breaker import CircuitBreaker, CircuitOpenError, Thresholds
from app.errors import OverloadedError, RateLimitedError
from app.identity.models import Caller
from app.limits.models import Limit, Rate, StoreFailedError, Verdict
from app.observability.metrics import Metrics
from app.settings import LimitSettings

logger = structlog.get_logger(__name__)

_STORE = Thresholds(failure_rate=0.5, min_calls=5, window_seconds=5, open_seconds=1, probes=2)
_RETRY_AFTER_SECONDS = 1


class Store(Protocol):
    """Where requests are counted."""

    async def admit(self, limits: Sequence[Limit]) -> Verdict:
        """Count one request for every limit, or for none when it is beyond any of them."""
        ...

    async def aclose(self) -> None:
        """Let go of everything."""
        ...


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
        self._timeout = settings.store_timeout_seconds
        self._store = store
        self._metrics = metrics
        self._breaker = CircuitBreaker(_STORE)
        self._failing = False

    async def admit(self, caller: Caller) -> Verdict:
        """Count one request of a caller's.

        Returns:
            Whether it is admitted and where the caller stands: nowhere, where no limit is set, or
            the store has failed and the operator chose to go on without.

        Raises:
            OverloadedError: the store has failed, and the operator chose to refuse then.
        """
        limits = self._limits(caller)
        if not limits:
            return Verdict(admitted=True, standings=())
        try:
            verdict = await self._ask(limits)
        except (StoreFailedError, CircuitOpenError, TimeoutError) as error:
            self._on_failure(error)
            return Verdict(admitted=True, standings=())
        if self._failing:
            self._failing = False
            logger.info("limit_store_recovered")
        if not verdict.admitted:
            self._metrics.rate_limited.labels(verdict.strictest.limit.policy).inc()
        return verdict

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

    async def _ask(self, limits: Sequence[Limit]) -> Verdict:
        with self._breaker.call(lambda _: True):
            async with asyncio.timeout(self._timeout):
                return await self._store.admit(limits)

    def _on_failure(self, error: Exception) -> None:
        self._metrics.limit_store_failures.inc()
        if not isinstance(error, CircuitOpenError) and not self._failing:
            self._failing = True
            logger.error(
                "limit_store_failed",
                error=type(error).__name__,
                requests="are let through" if self._open else "are refused",
            )
        if not self._open:
            raise OverloadedError(
                "Sessions cannot be handed out just now; try again shortly.",
                reason=f"the store of the rate limits has failed: {type(error).__name__}",
                retry_after=_RETRY_AFTER_SECONDS,
            ) from None


def refusal(verdict: Verdict) -> RateLimitedError:
    """Return the error for a request that was not admitted."""
    strictest = verdict.strictest
    return RateLimitedError(
        "Sessions are asked for too often; try again later.",
        reason=f"beyond the limit named {strictest.limit.policy}",
        retry_after=strictest.retry_after,
    )
