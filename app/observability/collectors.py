"""Metrics of states: read where they are kept, at the moment that somebody asks."""

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector


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
