"""Prometheus gauges of the keys of each issuer, read when Prometheus scrapes."""

from collections.abc import Iterable

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from .source import Source


class JwksCollector(Collector):
    """Reads the sources at each scrape, so that no gauge can be out of date.

    Sources without keys have no gauges.
    """

    def __init__(self, sources: Iterable[Source]) -> None:
        self._sources = tuple(sources)

    def collect(self) -> Iterable[Metric]:
        """Return the current state of the keys of each issuer."""
        labels = ["issuer"]
        keys = GaugeMetricFamily("vault_bff_jwks_keys", "Cached keys", labels=labels)
        age = GaugeMetricFamily(
            "vault_bff_jwks_age_seconds", "Seconds since the keys were fetched", labels=labels
        )
        usable = GaugeMetricFamily(
            "vault_bff_jwks_usable", "1 if tokens can be verified", labels=labels
        )
        failing = GaugeMetricFamily(
            "vault_bff_jwks_failing", "1 if the last fetch failed", labels=labels
        )
        for source in self._sources:
            state = source.key_state()
            if state is None:
                continue
            keys.add_metric([source.label], state.keys)
            usable.add_metric([source.label], state.usable)
            failing.add_metric([source.label], state.error is not None)
            if state.age_seconds is not None:
                age.add_metric([source.label], state.age_seconds)
        return [keys, age, usable, failing]
