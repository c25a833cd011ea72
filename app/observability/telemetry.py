"""What is told of everything that happens, in one hand."""

from dataclasses import dataclass, field

from app.observability.metrics import Metrics
from app.observability.redaction import Redactor
from app.observability.tracing import Tracing
from app.settings import TracingSettings


@dataclass(frozen=True, slots=True)
class Telemetry:
    """What a service tells of itself; made anew, it tells nobody.

    Attributes:
        redactor: takes secrets out of the log; it has to be told them.
        metrics: counts.
        tracing: makes spans.
    """

    redactor: Redactor = field(default_factory=Redactor)
    metrics: Metrics = field(default_factory=Metrics)
    tracing: Tracing = field(default_factory=lambda: Tracing(TracingSettings()))
