"""W3C Trace Context: the trace that a request belongs to, by its headers.

OpenTelemetry's own parser logs what it cannot parse, so that any caller could write into the log.
Here, invalid headers are ignored, as the specification says, and nothing of them is logged.

Source: https://www.w3.org/TR/trace-context/.
"""

import re
from collections.abc import Sequence

from opentelemetry.context import Context
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    TraceFlags,
    TraceState,
    set_span_in_context,
)

_TRACEPARENT = re.compile(
    r"(?P<version>[0-9a-f]{2})-(?P<trace>[0-9a-f]{32})-(?P<parent>[0-9a-f]{16})"
    r"-(?P<flags>[0-9a-f]{2})(?P<rest>-.*)?"
)
_KEY = (
    r"(?:[a-z][a-z0-9_*/-]{0,255}|[a-z0-9][a-z0-9_*/-]{0,240}@[a-z][a-z0-9_*/-]{0,13})"  # 3.3.1.3.1
)
_VALUE = r"[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]"  # 3.3.1.3.2
_MEMBER = re.compile(rf"(?P<key>{_KEY})=(?P<value>{_VALUE})")
_MAX_MEMBERS = 32


def parent_context(traceparents: Sequence[str], tracestates: Sequence[str]) -> Context:
    """Return the context of the caller's span; an empty one begins a new trace.

    Args:
        traceparents: the values of all `traceparent` headers. More than one is invalid.
        tracestates: the values of all `tracestate` headers, in their order. They are one list.
    """
    match = _TRACEPARENT.fullmatch(traceparents[0].strip(" \t")) if len(traceparents) == 1 else None
    if match is None or match["version"] == "ff" or (match["version"] == "00" and match["rest"]):
        return Context()
    span = SpanContext(
        trace_id=int(match["trace"], 16),
        span_id=int(match["parent"], 16),
        is_remote=True,
        # The other flags may mean something that this version of the specification does not know.
        trace_flags=TraceFlags(int(match["flags"], 16) & TraceFlags.SAMPLED),
        trace_state=_trace_state(tracestates),
    )
    if not span.is_valid:  # Zeros only.
        return Context()
    return set_span_in_context(NonRecordingSpan(span), Context())


def _trace_state(headers: Sequence[str]) -> TraceState:
    """Return the members of a list; none of a list that has an invalid one (section 3.3.1)."""
    members = [
        member for header in headers for text in header.split(",") if (member := text.strip(" \t"))
    ]
    matches = [match for member in members if (match := _MEMBER.fullmatch(member))]
    pairs = {match["key"]: match["value"] for match in matches}
    if len(pairs) != len(members) or len(pairs) > _MAX_MEMBERS:
        return TraceState()
    return TraceState(list(pairs.items()))
