"""Metrics for Prometheus. docs/operations.md says what each means and when to worry.

No label ever holds an identity, a consumer or anything else that a caller can make up: the number
of time series is known in advance.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

# Around the hundred milliseconds that Apideck takes, up to the longest deadline.
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """Every metric of one application; several applications in a process do not share them."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "vault_bff_http_requests",
            "Requests answered, by route and status",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self.request_seconds = Histogram(
            "vault_bff_http_request_duration_seconds",
            "Seconds from request to answer, by route",
            ("route",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.in_flight = Gauge(
            "vault_bff_http_requests_in_flight",
            "Requests being worked on",
            registry=self.registry,
        )
        self.sessions = Counter(
            "vault_bff_sessions",
            "Requests for a session, by what came of them",
            ("outcome", "caller_kind", "problem"),
            registry=self.registry,
        )
        self.apideck_requests = Counter(
            "vault_bff_apideck_requests",
            "Requests to Apideck, by what came of them",
            ("outcome",),
            registry=self.registry,
        )
        self.apideck_seconds = Histogram(
            "vault_bff_apideck_request_duration_seconds",
            "Seconds that Apideck took",
            buckets=_SECONDS,
            registry=self.registry,
        )

    def render(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self.registry)


class KeyState(Protocol):
    """What there is to know about an issuer's keys."""

    @property
    def keys(self) -> int:
        """How many are at hand."""

    @property
    def age_seconds(self) -> float | None:
        """How long ago they were fetched."""

    @property
    def usable(self) -> bool:
        """Whether tokens can be verified with them."""

    @property
    def error(self) -> str | None:
        """Why the last fetch failed."""


class JwksCollector(Collector):
    """Tells the state of each issuer's keys when it is asked, so that nothing has to keep it."""

    def __init__(self, states: Callable[[], Mapping[str, KeyState]]) -> None:
        self._states = states

    def collect(self) -> Iterable[Metric]:
        """Return the state of each issuer's keys just now."""
        keys = GaugeMetricFamily("vault_bff_jwks_keys", "Keys at hand", labels=["issuer"])
        age = GaugeMetricFamily(
            "vault_bff_jwks_age_seconds", "Seconds since they were fetched", labels=["issuer"]
        )
        usable = GaugeMetricFamily(
            "vault_bff_jwks_usable", "1 when tokens can be verified", labels=["issuer"]
        )
        failing = GaugeMetricFamily(
            "vault_bff_jwks_failing", "1 when the last fetch failed", labels=["issuer"]
        )
        for name, state in self._states().items():
            keys.add_metric([name], state.keys)
            usable.add_metric([name], state.usable)
            failing.add_metric([name], state.error is not None)
            if state.age_seconds is not None:
                age.add_metric([name], state.age_seconds)
        return [keys, age, usable, failing]
