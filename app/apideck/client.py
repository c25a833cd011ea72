"""Asking Apideck for a session until there is one, or there is to be none."""

import time
from typing import Literal

import httpx
import structlog

from app.apideck import error_mapping as errors
from app.apideck import wire
from app.apideck.api_key import ApiKey
from app.apideck.exchange import Exchange
from app.apideck.models import MintedSession
from app.apideck.retries import Retries
from app.common.circuit_breaker import CircuitBreaker, CircuitOpenError, State, Thresholds
from app.errors import (
    ApideckError,
    ApideckInvalidResponseError,
    ApideckMisconfiguredError,
    ApideckQuotaExhaustedError,
    ApideckTimeoutError,
    ApideckUnavailableError,
)
from app.observability.telemetry import Telemetry
from app.settings import ApideckSettings
from app.settings.apideck import BreakerSettings, UnifyApp
from app.vault import Session

logger = structlog.get_logger(__name__)

Account = Literal["ok", "misconfigured", "quota-exhausted"]
"""What Apideck last said of the operator's account, as far as it said anything."""


class ApideckClient:
    """Asks Apideck for Vault sessions, as one Unify app.

    Attributes:
        account: what Apideck last said of the account; the breaker takes no notice of that.
    """

    def __init__(
        self,
        name: str,
        settings: ApideckSettings,
        key: ApiKey,
        transport: httpx.AsyncBaseTransport,
        telemetry: Telemetry,
    ) -> None:
        """Take whom to ask, and how.

        Args:
            name: the operator's name for the application.
            settings: those of all applications; this one's are among them.
            key: this application's key.
            transport: what carries requests.
            telemetry: is told of every request.
        """
        app: UnifyApp = settings.all_unify_apps()[name]
        self._name = name
        self._settings = settings
        self._key = key
        self._metrics = telemetry.metrics
        self._seconds = telemetry.metrics.apideck_seconds.labels(name)
        self._exchange = Exchange(
            app, key, transport, telemetry.tracing, settings.max_response_bytes
        )
        self._breaker = CircuitBreaker(_thresholds(settings.breaker))
        self._retries = Retries(settings.retries)
        self._retried = telemetry.metrics.apideck_retries.labels(name)
        self.account: Account = "ok"

    @property
    def breaker(self) -> State:
        """The state of the circuit breaker."""
        return self._breaker.state

    @property
    def key_age_seconds(self) -> float:
        """How long this process has used the API key."""
        return self._key.age_seconds

    @property
    def key_failing(self) -> bool:
        """Whether the file with the API key cannot be read, or holds no key."""
        return self._key.fault is not None

    async def create_session(self, consumer_id: str, session: Session) -> MintedSession:
        """Create one session for one consumer, asking again where that may help.

        A consumer that Apideck does not know yet is made by the call.

        Args:
            consumer_id: printable ASCII without spaces; it goes into a header.
            session: what to ask for; what is not in it is not sent.

        Raises:
            ApideckError: when there is no session; every outcome has an error of its own.
        """
        body = wire.session_body(session)
        seconds = self._settings.deadline_seconds
        deadline = time.monotonic() + seconds

        async def attempt(number: int) -> MintedSession:
            left = min(self._settings.attempt_timeout_seconds, deadline - time.monotonic())
            try:
                with self._breaker.call(_is_failure):
                    self._retried.inc(number > 1)
                    return await self._counted(consumer_id, body, left)
            except CircuitOpenError as error:
                self._metrics.apideck_not_asked.labels(self._name).inc()
                raise errors.not_asked(error.retry_after) from None

        return await self._retries.run(attempt, seconds)

    async def _counted(self, consumer_id: str, body: bytes, seconds: float) -> MintedSession:
        started = time.perf_counter()
        outcome = "Abandoned"
        try:
            minted = await self._exchange.create_session(consumer_id, body, seconds)
            outcome = "Minted"
            self._heard("ok")
        except ApideckError as error:
            outcome = type(error).__name__.removeprefix("Apideck").removesuffix("Error")
            if not error.transient:  # What may pass says nothing of the account.
                self._heard(_ACCOUNT.get(type(error)))
            raise
        finally:
            self._metrics.apideck_requests.labels(self._name, outcome).inc()
            self._seconds.observe(time.perf_counter() - started)
        return minted

    def _heard(self, account: Account | None) -> None:
        if account is not None and account != self.account:
            log = logger.info if account == "ok" else logger.error
            log("apideck_account_changed", application=self._name, state=account)
            self.account = account


_ACCOUNT: dict[type[ApideckError], Account] = {
    ApideckMisconfiguredError: "misconfigured",
    ApideckQuotaExhaustedError: "quota-exhausted",
}
_FAILURES = (ApideckUnavailableError, ApideckTimeoutError, ApideckInvalidResponseError)


def _is_failure(error: Exception) -> bool:
    """Tell whether Apideck failed, as opposed to having said no."""
    return isinstance(error, _FAILURES)


def _thresholds(settings: BreakerSettings) -> Thresholds:
    return Thresholds(
        failure_rate=settings.failure_rate,
        min_calls=settings.min_requests,
        window_seconds=settings.window_seconds,
        open_seconds=settings.open_seconds,
        probes=settings.probes,
    )
