"""The spans that a trace collector received, as text."""

from collections.abc import Iterable

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


def texts(exports: Iterable[bytes]) -> str:
    """Return every name and value of the exported spans, without their random identifiers.

    A search for three characters cannot use the raw bytes: the random identifiers of a few hundred
    spans contain these characters by chance about once in a thousand runs.

    Args:
        exports: bodies of requests to a collector, in OTLP's binary form.
    """
    lines = []
    for body in exports:
        export = ExportTraceServiceRequest.FromString(body)
        for of_service in export.resource_spans:
            for of_library in of_service.scope_spans:
                for span in of_library.spans:
                    for identifier in ("trace_id", "span_id", "parent_span_id"):
                        span.ClearField(identifier)
        lines.append(str(export))
    return "\n".join(lines)
