"""Prometheus counters of the log writer's losses, read when Prometheus scrapes."""

from collections.abc import Iterable
from typing import get_args

from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from .log_writer import Cause, Kind, LogWriter


class LogCollector(Collector):
    """Reads how many log lines were lost."""

    def __init__(self, writer: LogWriter) -> None:
        self._writer = writer

    def collect(self) -> Iterable[Metric]:
        """Return the number of lost lines, for every kind and cause from the start on."""
        lost = CounterMetricFamily(
            "vault_bff_log_lines_lost",
            "Log lines that will never be written",
            labels=["kind", "cause"],
        )
        for kind in get_args(Kind):
            for cause in get_args(Cause):
                lost.add_metric([kind, cause], self._writer.lost[kind, cause])
        return [lost]
