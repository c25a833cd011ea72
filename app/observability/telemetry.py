"""Logs, metrics and traces as one object to pass around."""

from dataclasses import dataclass, field

from ..settings import TracingSettings
from .metrics import Metrics
from .redaction import Redactor
from .tracing import Tracing


@dataclass(frozen=True, slots=True)
class Telemetry:
    """What packages need to be observable. The default exports nothing.

    Attributes:
        redactor: takes secrets out of the log; packages give it theirs.
        metrics: counters, gauges and histograms.
        tracing: creates spans.
    """

    redactor: Redactor = field(default_factory=Redactor)
    metrics: Metrics = field(default_factory=Metrics)
    tracing: Tracing = field(default_factory=lambda: Tracing(TracingSettings()))
