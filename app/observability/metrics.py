"""Metrics for Prometheus. docs/operations.md explains each, and when to investigate.

No label contains an identity, a consumer or anything else that a caller can choose, so the number
of time series is known in advance.
"""

import platform
from collections.abc import Iterable
from functools import partial
from typing import get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from .. import __version__
from .log_writer import WRITER, Cause, Kind, LogWriter

# Apideck takes about a hundred milliseconds; the longest deadline is a minute.
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """The metrics of one ASGI app; several apps in a process do not share them."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._counter = partial(Counter, registry=self.registry)
        self._gauge = partial(Gauge, registry=self.registry)
        self._histogram = partial(Histogram, buckets=_SECONDS, registry=self.registry)
        self.requests = self._counter(
            "vault_bff_http_requests",
            "Responses, by route and status",
            ("method", "route", "status"),
        )
        self.request_seconds = self._histogram(
            "vault_bff_http_request_duration_seconds",
            "Seconds from request to response, by route",
            ("route",),
        )
        self.in_flight = self._gauge(
            "vault_bff_http_requests_in_flight", "Requests being processed"
        )
        self.tasks = self._gauge("vault_bff_event_loop_tasks", "Tasks in the event loop")
        self.sessions = self._counter(
            "vault_bff_sessions",
            "Requests for a session, by outcome",
            ("outcome", "caller_kind", "problem"),
        )
        self.connection_reads = self._counter(
            "vault_bff_connection_reads",
            "Requests for connections, by outcome",
            ("outcome", "caller_kind", "problem"),
        )
        self.unexpected_errors = self._counter(
            "vault_bff_unexpected_errors", "Requests on any route that ended in an unexpected error"
        )
        # The process has one log, so the metrics of each app show the same figures.
        self.registry.register(LogCollector(WRITER))
        self._describe_the_process()
        self._count_limits()
        self._count_identity()
        self._count_apideck()
        self._count_events()
        self._begin_at_zero()

    def _describe_the_process(self) -> None:
        # CPU, memory and files: https://prometheus.io/docs/instrumenting/writing_clientlibs/.
        ProcessCollector(registry=self.registry)
        build = self._gauge(
            "vault_bff_build_info",
            "1, with the version of the service and of Python as labels",
            ("version", "python_version"),
        )
        build.labels(__version__, platform.python_version()).set(1)
        self.workers_ended = self._counter(
            "vault_bff_workers_ended",
            "Workers that ended although the service was not asked to stop",
        )

    def _count_limits(self) -> None:
        self.shed = self._counter(
            "vault_bff_requests_shed",
            "Requests rejected because too many were in flight",
            ("queue",),
        )
        self.waiting = self._gauge(
            "vault_bff_requests_waiting", "Requests that wait for admission", ("queue",)
        )
        self.out_of_descriptors = self._counter(
            "vault_bff_out_of_file_descriptors",
            "Connections that failed because the process has too many files open",
            ("connection",),
        )
        self.rate_limited = self._counter(
            "vault_bff_rate_limited",
            "Requests rejected by a rate limit, by the name of the limit",
            ("policy",),
        )
        self.limit_store_failures = self._counter(
            "vault_bff_rate_limit_store_failures",
            "Requests that the rate limit store could not count",
        )

    def _count_identity(self) -> None:
        self.identity_requests = self._counter(
            "vault_bff_identity_requests",
            "Requests to identity providers, by host and outcome",
            ("host", "outcome"),
        )

    def _count_apideck(self) -> None:
        self.apideck_requests = self._counter(
            "vault_bff_apideck_requests",
            "Requests to Apideck, by operation and outcome",
            ("application", "operation", "outcome"),
        )
        self.apideck_seconds = self._histogram(
            "vault_bff_apideck_request_duration_seconds",
            "Seconds that one request to Apideck took, by operation",
            ("application", "operation"),
        )
        self.apideck_retries = self._counter(
            "vault_bff_apideck_retries", "Retries of requests to Apideck", ("application",)
        )
        self.apideck_not_asked = self._counter(
            "vault_bff_apideck_not_asked",
            "Requests to Apideck that the open circuit breaker blocked",
            ("application",),
        )

    def _count_events(self) -> None:
        self.webhook_events = self._counter(
            "vault_bff_webhook_events",
            "Deliveries of events by Apideck, by outcome",
            ("application", "outcome", "problem"),
        )
        self.webhook_target_seconds = self._histogram(
            "vault_bff_webhook_target_duration_seconds",
            "Seconds that the target of events took to respond",
            ("application",),
        )
        self.webhook_in_flight = self._gauge(
            "vault_bff_webhook_events_in_flight", "Events being forwarded"
        )

    def _begin_at_zero(self) -> None:
        """Create the labeled series that alerts use, before anything is counted.

        To Prometheus, a series that begins with 1 has not increased, so an alert would miss the
        first failure of each process.
        """
        for policy in ("user", "service", "total"):
            self.rate_limited.labels(policy)
            self.rate_limited.labels(f"connections-{policy}")
        self.rate_limited.labels("connections-consumer")
        for connection in ("client", "apideck", "identity", "webhook-target"):
            self.out_of_descriptors.labels(connection)

    def begin_webhooks_at_zero(self, unify_apps: Iterable[str]) -> None:
        """Create the series of events that alerts use, for the same reason.

        Args:
            unify_apps: the Unify apps whose events are received.
        """
        for name in unify_apps:
            self.webhook_target_seconds.labels(name)
            self.webhook_events.labels(name, "forwarded", "none")
            for problem in ("webhook-target-failed", "webhook-target-timeout", "overloaded"):
                self.webhook_events.labels(name, "failed", problem)

    def start_at_zero(self, method: str, route: str, statuses: Iterable[int]) -> None:
        """Create the series of a route that alerts use, for the same reason.

        Args:
            method: the route's method.
            route: the route, as metrics name it.
            statuses: those of its success and of its failures.
        """
        for status in statuses:
            self.requests.labels(method, route, int(status))
        self.request_seconds.labels(route)


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
