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


class Upstream(Protocol):
    """What there is to know about Apideck as one application sees it."""

    @property
    def breaker(self) -> str:
        """Whether it is asked just now: closed, half-open or open."""

    @property
    def account(self) -> str:
        """What it last said of the account: ok, misconfigured or quota-exhausted."""

    @property
    def key_age_seconds(self) -> float:
        """How long the API key has been in use."""

    @property
    def key_failing(self) -> bool:
        """Whether the file with the key cannot be followed."""


_BREAKER = {"closed": 0, "half-open": 1, "open": 2}
_ACCOUNT = ("ok", "misconfigured", "quota-exhausted")


class ApideckCollector(Collector):
    """Tells the state of Apideck for each application when it is asked."""

    def __init__(self, states: Callable[[], Mapping[str, Upstream]]) -> None:
        self._states = states

    def collect(self) -> Iterable[Metric]:
        """Return the state of each application's upstream just now."""
        labels = ["application"]
        breaker = GaugeMetricFamily(
            "vault_bff_apideck_breaker_state", "0 closed, 1 half-open, 2 open", labels=labels
        )
        account = GaugeMetricFamily(
            "vault_bff_apideck_account_state",
            "1 for what Apideck last said of the account",
            labels=["application", "state"],
        )
        age = GaugeMetricFamily(
            "vault_bff_apideck_key_age_seconds", "Seconds that the key is in use", labels=labels
        )
        failing = GaugeMetricFamily(
            "vault_bff_apideck_key_file_failing",
            "1 when the file with the key cannot be followed",
            labels=labels,
        )
        for name, state in self._states().items():
            breaker.add_metric([name], _BREAKER[state.breaker])
            age.add_metric([name], state.key_age_seconds)
            failing.add_metric([name], state.key_failing)
            for one in _ACCOUNT:
                account.add_metric([name, one], one == state.account)
        return [breaker, account, age, failing]
