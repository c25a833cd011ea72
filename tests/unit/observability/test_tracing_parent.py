import asyncio
import logging

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from opentelemetry.trace import SpanContext, get_current_span

from app.observability.tracing import Tracing, parent_context
from app.settings import TracingSettings

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{PARENT}-01"


def parent(*traceparents: str, states: tuple[str, ...] = ()) -> SpanContext:
    """Return the parent span in these headers."""
    return get_current_span(parent_context(traceparents, states)).get_span_context()


def state(*headers: str) -> list[tuple[str, str]]:
    """Return the members of the trace state in these headers."""
    return list(parent(TRACEPARENT, states=headers).trace_state.items())


def test_a_request_continues_the_trace_of_its_caller() -> None:
    """The trace, the parent and the sampled flag come from the header."""
    span = parent(TRACEPARENT)

    assert f"{span.trace_id:032x}" == TRACE
    assert f"{span.span_id:016x}" == PARENT
    assert span.trace_flags.sampled
    assert span.is_remote


@pytest.mark.parametrize(("flags", "sampled"), [("00", False), ("01", True), ("fe", False)])
def test_the_caller_decides_whether_the_trace_is_sampled(flags: str, sampled: bool) -> None:
    """The last bit of the flags says so."""
    assert parent(f"00-{TRACE}-{PARENT}-{flags}").trace_flags.sampled is sampled


@pytest.mark.parametrize("more", ["", "-", "-what-comes-later"])
def test_the_known_fields_of_a_later_version_are_used(more: str) -> None:
    """The first four fields have the same meaning; more fields may follow."""
    assert parent(f"cc-{TRACE}-{PARENT}-01{more}").is_valid


@pytest.mark.parametrize(
    "headers",
    [
        (),
        ("",),
        (TRACEPARENT, TRACEPARENT),
        (f"{TRACEPARENT},{TRACEPARENT}",),
        (f"{TRACEPARENT}-more",),
        (f"ff-{TRACE}-{PARENT}-01",),
        (f"cc-{TRACE}-{PARENT}-01more",),
        (f"00-{TRACE.upper()}-{PARENT}-01",),
        (f"00-{'0' * 32}-{PARENT}-01",),
        (f"00-{TRACE}-{'0' * 16}-01",),
        (f"00-{TRACE}-{PARENT}",),
    ],
)
def test_an_invalid_or_repeated_traceparent_starts_a_new_trace(headers: tuple[str, ...]) -> None:
    """W3C Trace Context, section 3.2.2: the vendor creates a new traceparent."""
    assert not parent(*headers, states=("a=1",)).is_valid


def test_several_tracestate_headers_are_one_list() -> None:
    """The members keep their order (RFC 9110 section 5.3); empty members are allowed."""
    assert state("a=1, b=2", "", " t@v=3 ,, c=x y") == [
        ("a", "1"),
        ("b", "2"),
        ("t@v", "3"),
        ("c", "x y"),
    ]


@pytest.mark.parametrize(
    "headers",
    [
        ("foo@=anything",),
        ("a=1", "A=2"),
        ("a=1,a=2",),
        ("a=1", "a=2"),
        ("a",),
        ("a=",),
        ("=1",),
        ("a=b=c",),
        ("a=\x9b",),
        ("a=1\x0b",),
        (f"{'a' * 257}=1",),
        (f"a={'1' * 257}",),
        tuple(f"k{number}=1" for number in range(33)),
    ],
)
def test_an_invalid_tracestate_is_discarded(headers: tuple[str, ...]) -> None:
    """No part of it is passed on."""
    assert state(*headers) == []


@given(
    st.lists(st.text(st.characters(max_codepoint=255)), max_size=2),
    st.lists(st.text(st.characters(max_codepoint=255)) | st.text("ab1@=,/ \t\x9b"), max_size=3),
)
@example([TRACEPARENT], ["foo@=anything"])
@example([TRACEPARENT], [",".join(f"k{number}=1" for number in range(40))])
@example(["0" * 600], ["a=1"])
def test_opentelemetry_does_not_log_the_headers_of_a_caller(
    traceparents: list[str], tracestates: list[str]
) -> None:
    """OpenTelemetry quotes invalid headers in warnings, which the service switches off."""
    records: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.handle = records.append  # type: ignore[assignment,method-assign]
    library = logging.getLogger("opentelemetry")
    library.addHandler(handler)
    tracing = Tracing(TracingSettings(endpoint="https://collector.example/v1/traces"))
    tracing.start()
    try:
        for given_traceparents in (traceparents, [TRACEPARENT]):
            context = get_current_span(parent_context(given_traceparents, tracestates))
            context.get_span_context().trace_state.to_header()
    finally:
        asyncio.run(tracing.aclose())
        library.removeHandler(handler)
    assert records == []
