"""The metrics of several workers as those of one service.

Counters and histograms are added up. A gauge describes one process, so each worker's has the label
`worker`. prometheus_client's own multiprocess mode leaves out the gauges that are read at a scrape,
and custom collectors (docs/adr/0020-workers.md).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

Family = tuple[str, str, str, list[tuple[str, dict[str, str], float]]]
"""Name, help and type of a metric, and its samples: name, labels and value."""

_SUMMED: Final = frozenset({"counter", "histogram"})
_Series = tuple[str, str, tuple[tuple[str, str], ...]]
"""Name of the metric, name of the sample, and labels."""


def families_of(registry: Collector) -> list[Family]:
    """Return what a registry holds, as JSON can represent it."""
    return [
        (
            one.name,
            one.documentation,
            one.type,
            [(sample.name, sample.labels, sample.value) for sample in one.samples],
        )
        for one in registry.collect()
    ]


class WorkerMetrics(Collector):
    """The sums of all workers that ever ran, and the gauges of those that have just reported."""

    def __init__(self) -> None:
        self._reports: Mapping[str, Sequence[Family]] = {}
        self._kinds: dict[str, tuple[str, str]] = {}
        self._counts: dict[str, dict[_Series, float]] = {}
        self._ended: dict[_Series, float] = {}

    def report(self, reports: Mapping[str, Sequence[Family]]) -> None:
        """Replace the reports of workers; the last counts of other workers stay.

        Args:
            reports: metrics by the worker's name.
        """
        self._reports = reports
        for worker, families in reports.items():
            counts = self._counts[worker] = {}
            for name, documentation, kind, samples in families:
                self._kinds[name] = documentation, kind
                if kind in _SUMMED:
                    for sample, labels, value in samples:
                        counts[name, sample, tuple(labels.items())] = value

    def end(self, worker: str) -> None:
        """Keep the counts of a worker that has ended, so that no sum ever falls.

        Prometheus takes a smaller sum for a restart of the service, and would count it again.
        """
        self._ended = _sums([self._ended, self._counts.pop(worker, {})])

    def collect(self) -> Iterable[Metric]:
        """Return the metrics of the service."""
        metrics = {name: Metric(name, *about) for name, about in self._kinds.items()}
        for worker, families in self._reports.items():
            for name, _, kind, samples in families:
                if kind not in _SUMMED:
                    for sample, labels, value in samples:
                        metrics[name].add_sample(sample, {**labels, "worker": worker}, value)
        sums = _sums([self._ended, *self._counts.values()])
        for (name, sample, of_series), value in sums.items():
            metrics[name].add_sample(sample, dict(of_series), value)
        return metrics.values()


def _sums(counts: Iterable[dict[_Series, float]]) -> dict[_Series, float]:
    sums: dict[_Series, float] = {}
    for one in counts:
        for series, value in one.items():
            if series[1].endswith("_created"):  # When counting began.
                sums[series] = min(value, sums.get(series, value))
            else:
                sums[series] = value + sums.get(series, 0)
    return sums
