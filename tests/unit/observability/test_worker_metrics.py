import json

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from app.observability.worker_metrics import Family, WorkerMetrics, families_of


class Worker:
    """The metrics of one worker."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter("requests", "Requests", ("status",), registry=self.registry)
        self.seconds = Histogram("seconds", "Seconds", buckets=(1, 5), registry=self.registry)
        self.waiting = Gauge("waiting", "Waiting", registry=self.registry)

    def report(self) -> list[Family]:
        """Return the report of the worker, decoded from JSON."""
        report: list[Family] = json.loads(json.dumps(families_of(self.registry)))
        return report


def samples(metrics: WorkerMetrics) -> dict[str, float]:
    """Return the samples as Prometheus reads them, by name and labels."""
    lines = generate_latest(metrics).decode().splitlines()
    pairs = [line.rpartition(" ") for line in lines if not line.startswith("#")]
    return {name: float(value) for name, _, value in pairs if "_created" not in name}


def test_counters_are_added_up_and_gauges_have_a_worker_label() -> None:
    """A series of only one worker is included."""
    one, other, metrics = Worker(), Worker(), WorkerMetrics()
    one.requests.labels("200").inc(3)
    other.requests.labels("200").inc(4)
    other.requests.labels("500").inc()
    one.seconds.observe(0.5)
    other.seconds.observe(2)
    one.waiting.set(7)
    metrics.report({"1": one.report(), "2": other.report()})

    assert samples(metrics) == {
        'requests_total{status="200"}': 7,
        'requests_total{status="500"}': 1,
        'seconds_bucket{le="1.0"}': 1,
        'seconds_bucket{le="5.0"}': 2,
        'seconds_bucket{le="+Inf"}': 2,
        "seconds_count": 2,
        "seconds_sum": 2.5,
        'waiting{worker="1"}': 7,
        'waiting{worker="2"}': 0,
    }


def test_no_counter_decreases_when_a_worker_ends_or_does_not_report() -> None:
    """Its counts are kept and its gauges removed; the worker that replaces it starts at 0."""
    one, other, metrics = Worker(), Worker(), WorkerMetrics()
    one.requests.labels("200").inc(3)
    one.requests.labels("500").inc(2)
    other.requests.labels("200").inc(4)
    metrics.report({"1": one.report(), "2": other.report()})

    metrics.report({"2": other.report()})
    silent = samples(metrics)
    metrics.end("1")
    metrics.report({"2": other.report()})
    ended = samples(metrics)
    replaced = Worker()
    replaced.requests.labels("200").inc()
    metrics.report({"1": replaced.report(), "2": other.report()})

    for found in (silent, ended):
        assert found['requests_total{status="200"}'] == 7
        assert found['requests_total{status="500"}'] == 2
        assert 'waiting{worker="1"}' not in found
    assert samples(metrics)['requests_total{status="200"}'] == 8


def test_the_created_time_of_a_counter_is_that_of_the_first_worker() -> None:
    """The result is valid OpenMetrics, in which created times are not added up."""
    one, other, metrics = Worker(), Worker(), WorkerMetrics()
    for worker, status in ((one, "200"), (other, "500"), (other, "200")):
        worker.requests.labels(status).inc()
    reports = {"1": one.report(), "2": other.report()}
    metrics.report(reports)

    text = openmetrics(metrics).decode()  # type: ignore[no-untyped-call]
    families = text_string_to_metric_families(text)  # type: ignore[no-untyped-call]
    created = {
        sample.labels["status"]: sample.value
        for family in families
        for sample in family.samples
        if sample.name == "requests_created"
    }
    created_times = [
        value
        for report in reports.values()
        for _, _, _, found in report
        for name, labels, value in found
        if (name, labels) == ("requests_created", {"status": "200"})
    ]
    assert created["200"] == min(created_times)
