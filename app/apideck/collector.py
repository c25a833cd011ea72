"""Prometheus gauges of the state of each `ApideckClient`, read when Prometheus scrapes."""

from collections.abc import Iterable, Mapping
from typing import get_args

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from .client import Account, ApideckClient

_BREAKER = {"closed": 0, "half-open": 1, "open": 2}


class ApideckCollector(Collector):
    """Reads the clients at each scrape, so that no gauge can be out of date.

    They are keyed by the operator's name for their Unify app.
    """

    def __init__(self, clients: Mapping[str, ApideckClient]) -> None:
        self._clients = clients

    def collect(self) -> Iterable[Metric]:
        """Return the current state of each client."""
        labels = ["application"]
        breaker = GaugeMetricFamily(
            "vault_bff_apideck_breaker_state", "0 closed, 1 half-open, 2 open", labels=labels
        )
        account = GaugeMetricFamily(
            "vault_bff_apideck_account_state",
            "1 for the state of the account that Apideck last reported",
            labels=["application", "state"],
        )
        age = GaugeMetricFamily(
            "vault_bff_apideck_key_age_seconds",
            "Seconds that this process has used the API key",
            labels=labels,
        )
        failing = GaugeMetricFamily(
            "vault_bff_apideck_key_file_failing",
            "1 when the file with the API key cannot be read, or holds no key",
            labels=labels,
        )
        for name, client in self._clients.items():
            breaker.add_metric([name], _BREAKER[client.breaker])
            age.add_metric([name], client.key_age_seconds)
            failing.add_metric([name], client.key_failing)
            for state in get_args(Account):
                account.add_metric([name, state], state == client.account)
        return [breaker, account, age, failing]
