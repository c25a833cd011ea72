"""Calls to Apideck as one Unify app: deadline, retries, circuit breaker and metrics."""

import time
from collections.abc import Callable, Coroutine
from typing import Any, Final, Literal, TypeVar

import httpx
import structlog
from prometheus_client import Histogram

from ..common.circuit_breaker import CircuitBreaker, CircuitOpenError, State, Thresholds
from ..errors import (
    ApideckError,
    ApideckInvalidResponseError,
    ApideckMisconfiguredError,
    ApideckQuotaExhaustedError,
    ApideckTimeoutError,
    ApideckUnavailableError,
    ConnectionNotFoundError,
    OutOfDescriptorsError,
)
from ..observability.telemetry import Telemetry
from ..settings import ApideckSettings
from ..settings.apideck import BreakerSettings
from . import error_mapping as errors
from .api_key import ApiKey
from .exchange import Call, Exchange, Operation, Result
from .retries import Retries

T = TypeVar("T")

logger = structlog.get_logger(__name__)

Account = Literal["ok", "misconfigured", "quota-exhausted"]
"""What Apideck last reported about the operator's account."""

_ACCOUNT_BY_ERROR: Final[dict[type[ApideckError], Account]] = {
    ApideckMisconfiguredError: "misconfigured",
    ApideckQuotaExhaustedError: "quota-exhausted",
}
_FAILURES: Final = (ApideckUnavailableError, ApideckTimeoutError, ApideckInvalidResponseError)
_STATES: Final[tuple[State, ...]] = ("closed", "half-open", "open")


class ApideckClient:
    """Calls Apideck as one Unify app.

    Each operation has its own circuit breaker and retry budget, so that one cannot use up or block
    those of another.

    Attributes:
        account: what Apideck last reported about the account; it does not affect the breakers.
        vault_origins: the origins at which sessions may open.
    """

    def __init__(
        self,
        name: str,
        settings: ApideckSettings,
        key: ApiKey,
        transport: httpx.AsyncBaseTransport,
        telemetry: Telemetry,
    ) -> None:
        """Prepare calls as one Unify app.

        Args:
            name: the operator's name for the Unify app.
            settings: the settings of all Unify apps.
            key: the API key of this one.
            transport: sends requests.
            telemetry: records every request.
        """
        self._app = settings.all_unify_apps()[name]
        self._name = name
        self._settings = settings
        self._key = key
        self._transport = transport
        self._tracing = telemetry.tracing
        self._metrics = telemetry.metrics
        self._retried = telemetry.metrics.apideck_retries.labels(name)
        self._calls: dict[Operation, _Calls] = {}
        self.account: Account = "ok"
        self.vault_origins = self._app.vault_origins

    @property
    def breaker(self) -> State:
        """The state of the circuit breaker; of several, the one that blocks most."""
        states = [calls.breaker.state for calls in self._calls.values()]
        return max(states, key=_STATES.index, default="closed")

    @property
    def key_age_seconds(self) -> float:
        """How long this process has used the API key."""
        return self._key.age_seconds

    @property
    def key_failing(self) -> bool:
        """Whether the file with the API key cannot be read, or holds no key."""
        return self._key.fault is not None

    def prepare(self, *operations: Operation) -> None:
        """Prepare operations before their first call, so that their metrics begin at zero."""
        for operation in operations:
            self._add(operation)

    async def call(
        self,
        operation: Operation,
        call: Call,
        read: Callable[[bytes], T],
        *,
        retries: bool = True,
    ) -> Result[T]:
        """Call an operation for one consumer, with retries where they may help.

        Args:
            operation: the operation.
            call: what to send.
            read: returns the content of a body with status 200, or raises an
                `InvalidResponseError`.
            retries: whether to make more than one attempt.

        Raises:
            ApideckError: there is no result; each outcome has its own class.
            OutOfDescriptorsError: this process has no file descriptor for a connection.
        """
        calls = self._calls.get(operation) or self._add(operation)
        seconds = self._settings.deadline_seconds
        deadline = time.monotonic() + seconds

        async def attempt(number: int) -> Result[T]:
            left = min(self._settings.attempt_timeout_seconds, deadline - time.monotonic())
            try:
                with calls.breaker.call(_is_failure):
                    self._retried.inc(number > 1)
                    return await self._measured(
                        operation, calls, calls.exchange.send(call, read, left)
                    )
            except CircuitOpenError as error:
                self._metrics.apideck_not_asked.labels(self._name).inc()
                raise errors.circuit_open(error.retry_after) from None

        return await (calls.retries.run(attempt, seconds) if retries else attempt(1))

    def _add(self, operation: Operation) -> "_Calls":
        settings = self._settings
        exchange = Exchange(
            operation,
            self._app,
            self._key,
            self._transport,
            self._tracing,
            max_response_bytes=(
                settings.max_connections_bytes
                if operation.is_large
                else settings.max_response_bytes
            ),
        )
        calls = self._calls[operation] = _Calls(
            exchange, settings, self._metrics.apideck_seconds.labels(self._name, operation.name)
        )
        return calls

    async def _measured(
        self, operation: Operation, calls: "_Calls", sending: Coroutine[Any, Any, T]
    ) -> T:
        started = time.perf_counter()
        outcome = "Abandoned"
        try:
            result = await sending
            outcome = operation.success
            self._set_account("ok")
        except ApideckError as error:
            outcome = type(error).__name__.removeprefix("Apideck").removesuffix("Error")
            if not error.transient and (account := _ACCOUNT_BY_ERROR.get(type(error))):
                self._set_account(account)
            if isinstance(error, ConnectionNotFoundError) and operation.not_found == "named":
                self._set_account("ok")  # Apideck accepts the key, and does not know the consumer.
            raise
        except OutOfDescriptorsError:
            outcome = "OutOfDescriptors"
            self._metrics.out_of_descriptors.labels("apideck").inc()
            raise
        finally:
            self._metrics.apideck_requests.labels(self._name, operation.name, outcome).inc()
            calls.seconds.observe(time.perf_counter() - started)
        return result

    def _set_account(self, account: Account) -> None:
        if account != self.account:
            log = logger.info if account == "ok" else logger.error
            log("apideck_account_changed", application=self._name, state=account)
            self.account = account


class _Calls:
    """What one operation does not share with the others."""

    def __init__(self, exchange: Exchange, settings: ApideckSettings, seconds: Histogram) -> None:
        self.exchange = exchange
        self.seconds = seconds
        self.breaker = CircuitBreaker(_thresholds(settings.breaker))
        self.retries = Retries(settings.retries)


def _is_failure(error: Exception) -> bool | None:
    """Return whether Apideck failed; None if it got no request, for want of a file descriptor."""
    return None if isinstance(error, OutOfDescriptorsError) else isinstance(error, _FAILURES)


def _thresholds(settings: BreakerSettings) -> Thresholds:
    return Thresholds(
        failure_rate=settings.failure_rate,
        min_calls=settings.min_requests,
        window_seconds=settings.window_seconds,
        open_seconds=settings.open_seconds,
        probes=settings.probes,
    )
